// Whether Redis takes writes. One that is full, a replica, or cannot save answers reads, and looks well to whoever only asks it something.
import type { Redis } from 'ioredis';

/** What stands before the message of an error that Redis itself answered; 6.2 hides it inside of a script's error. */
const CODE = /\b(OOM|READONLY|MISCONF|NOREPLICAS|NOPERM|NOAUTH|WRONGPASS|LOADING|MASTERDOWN|BUSY|CLUSTERDOWN)\b/;
const ANY_CODE = /^([A-Z]+) /;
/** What Redis 7 says, with the code ERR, of a right that a script lacks. */
const NO_RIGHT = /ACL failure|executing the script can't/;

/**
 * Why Redis refused a command.
 * @returns the code of its answer, like READONLY; undefined for an error that is not Redis's answer, of a lost connection for example
 */
export function readRefusal(error: unknown): string | undefined {
  for (let next = error, depth = 0; next instanceof Error && depth < 5; next = next.cause, depth += 1) {
    if (next.name !== 'ReplyError') continue;
    // Of a transaction that was given up, because of the commands before EXEC.
    const before: unknown = Reflect.get(next, 'previousErrors');
    const first: unknown = Array.isArray(before) ? before[0] : undefined;
    const message = first instanceof Error ? first.message : next.message;
    if (NO_RIGHT.test(message)) return 'NOPERM';
    return (CODE.exec(message) ?? ANY_CODE.exec(message))?.[1] ?? 'ERR';
  }
  return undefined;
}

/** Refusals of every write, whatever it is: a single write that works says that they are over. */
const OF_ALL_WRITES = new Set([
  'OOM',
  'READONLY',
  'MISCONF',
  'NOREPLICAS',
  'LOADING',
  'MASTERDOWN',
  'BUSY',
  'CLUSTERDOWN',
]);

/** Whether a probe that works proves that jobs are taken again; else only a job does. */
export const endsWithProbe = (code: string) => OF_ALL_WRITES.has(code);

// A script, because whoever may run BullMQ's may run this one; its key lies under the prefix, like all of BullMQ's.
const PROBE = "return redis.call('SET', KEYS[1], '', 'PX', 60000)";

/** Writes a key that goes by itself. @throws what Redis answers to a write that it refuses */
export async function probeWrite(redis: Redis, prefix: string): Promise<void> {
  await redis.eval(PROBE, 1, `${prefix}:write-probe`);
}
