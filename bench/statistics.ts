// The arithmetic of the numbers: exact percentiles (every sample is kept and sorted, nothing is binned) and the spread over rounds.

/** The values of one metric over the rounds. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/**
 * The smallest sample that at least `percent` of all samples do not exceed (nearest rank).
 * @param sorted ascending
 * @param percent 0 to 100
 * @returns NaN for no samples
 */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}

/** The middle value, the mean of the two middle ones for an even count; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Undefined for no values. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}
