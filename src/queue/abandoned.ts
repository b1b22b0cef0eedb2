// What is left in Redis of installations that are gone: a restored backup is another installation, with a queue of its own, and the keys of the old
// one would stay for ever. Every worker says now and then that its installation lives; what nobody has spoken for in a week is removed. Should it live
// all the same it has lost wake-ups, which its reconciler makes up for (I1).
import type { Redis } from 'ioredis';
import { KEEP_FAILED, QUEUE_NAME } from './jobs.js';

/** As long as failed jobs stay to be looked at. */
const ABANDONED_AFTER_S = KEEP_FAILED.age;
/** Of one call. */
const REMOVED_AT_ONCE = 5;
const SCAN_COUNT = 1_000;
/** Stands for the keys of versions that had no installation in their prefix. */
const NONE = 'none';

/**
 * Says that an installation lives, and removes what is left of those that do not.
 * @param prefix QUEUE_PREFIX
 * @param queues the names of the queues of an installation
 * @returns the names of those that were removed
 */
export async function removeAbandoned(
  redis: Redis,
  prefix: string,
  installation: string,
  queues: readonly string[],
): Promise<string[]> {
  const registry = `${prefix}:installations`;
  // Redis's own clock: those of workers may be wrong.
  const [seconds] = await redis.time();
  const nowS = Number(seconds);
  await redis.zadd(registry, nowS, installation);
  if ((await redis.exists(`${prefix}:${QUEUE_NAME}:meta`)) === 1) await redis.zadd(registry, 'NX', nowS, NONE);
  const gone = await redis.zrangebyscore(registry, 0, nowS - ABANDONED_AFTER_S, 'LIMIT', 0, REMOVED_AT_ONCE);
  for (const name of gone) {
    const under = name === NONE ? queues.map((queue) => `${prefix}:${queue}`) : [`${prefix}:${name}`];
    for (const start of under) await removeKeys(redis, `${start}:*`);
    await redis.zrem(registry, name);
  }
  return gone;
}

async function removeKeys(redis: Redis, pattern: string) {
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT);
    cursor = next;
    if (keys.length > 0) await redis.unlink(...keys);
  } while (cursor !== '0');
}
