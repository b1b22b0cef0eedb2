// A Redis at its maxmemory answers reads and refuses writes: asked how it is, it looks well.
import type { Redis } from 'ioredis';

/** Whether an error is Redis refusing a write: full, a read-only replica, or a disk that it cannot save to. */
export function refusesWrites(error: unknown): boolean {
  return error instanceof Error && /\b(OOM command not allowed|READONLY You|MISCONF Redis)/.test(error.message);
}

/**
 * Whether Redis is at its maxmemory and may not evict anything, by the sum that Redis itself does before each write.
 * @throws what the driver throws, also where the user may not call INFO
 */
export async function hasNoRoom(redis: Redis): Promise<boolean> {
  const info = await redis.info('memory');
  const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim();
  const bytes = (name: string) => Number(field(name) ?? 0);
  const max = bytes('maxmemory');
  if (max === 0 || field('maxmemory_policy') !== 'noeviction') return false;
  return bytes('used_memory') - bytes('mem_not_counted_for_evict') > max;
}
