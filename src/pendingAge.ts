// How long the oldest pending operation has waited, also where the clock was set back since it was accepted: then from when it was first seen.

/** Of so many workspaces it is remembered. */
const REMEMBERED_MAX = 1_000;

/**
 * @param monotonicMs a clock that only goes forward
 * @returns the age in microseconds of what was accepted at `acceptedMicros`. @param key whose oldest operation it is
 */
export function createPendingAge(monotonicMs: () => number) {
  const seen = new Map<string, { acceptedMicros: bigint; sinceMs: number }>();
  return function ageMicros(key: string, acceptedMicros: bigint, nowMicros: bigint): bigint {
    if (acceptedMicros <= nowMicros) {
      seen.delete(key);
      return nowMicros - acceptedMicros;
    }
    const known = seen.get(key);
    if (known?.acceptedMicros === acceptedMicros) return BigInt(Math.round((monotonicMs() - known.sinceMs) * 1_000));
    if (seen.size >= REMEMBERED_MAX) seen.clear();
    seen.set(key, { acceptedMicros, sinceMs: monotonicMs() });
    return 0n;
  };
}
