// Numbers of a run set against each other. Pure; undefined wherever something was not measured.
import { findVariant, type RunResult, spreadOfMetric } from '../results.js';

export type Place = readonly [part: string, key: string, metric: string];

/** The median of one metric; undefined where it was not measured. */
export const medianAt = (run: RunResult, [part, key, metric]: Place) =>
  spreadOfMetric(findVariant(run, part, key), metric)?.median;

/** The median of one metric over that of another. */
export const ratio = (of: Place, to: Place) => (run: RunResult) => {
  const [a, b] = [medianAt(run, of), medianAt(run, to)];
  return a === undefined || b === undefined || b === 0 ? undefined : a / b;
};

/** The number of tasks that all sources of the pull comparison were measured with: the most that RxDB was. */
const comparedSize = (run: RunResult) => {
  const variants = run.parts.find(({ part }) => part === 'pull')?.variants ?? [];
  const sizes = variants.flatMap(({ key, rounds }) =>
    rounds.length > 0 ? (/^rxdb-(\d+)x1$/.exec(key)?.[1] ?? []) : [],
  );
  return Math.max(0, ...sizes.map(Number));
};

/** Rows a second of a bootstrap as lines over those of another source, both with this many clients. */
export const pullRatio = (other: 'rxdb' | 'copy', clients: number) => (run: RunResult) => {
  const size = other === 'copy' ? largestSize(run) : comparedSize(run);
  return ratio(
    ['pull', `lines-${size}x${clients}`, 'rowsPerS'],
    ['pull', `${other}-${size}x${clients}`, 'rowsPerS'],
  )(run);
};

const largestSize = (run: RunResult) => {
  const keys = run.parts.find(({ part }) => part === 'pull')?.variants.map(({ key }) => key) ?? [];
  return Math.max(0, ...keys.flatMap((key) => /^copy-(\d+)x1$/.exec(key)?.[1] ?? []).map(Number));
};

/** A number of the part push. */
export const push = (key: string, metric = 'operationsPerS'): Place => ['push', key, metric];

/** The most memory that one process of a kind held in any push to the product with one worker. */
export const mostMemory = (name: string) => (run: RunResult) => {
  const variants = run.parts.find(({ part }) => part === 'push')?.variants.filter(({ key }) => key.startsWith('ours-'));
  const values = (variants ?? []).flatMap((variant) => spreadOfMetric(variant, `rss.${name}`)?.max ?? []);
  return values.length === 0 ? undefined : Math.max(...values);
};

/** The slowest of the variants of the part growth, as a share of the one with a new log. */
export const flatness = (run: RunResult) => {
  const variants = run.parts.find(({ part }) => part === 'growth')?.variants ?? [];
  const rates = variants.flatMap((variant) => spreadOfMetric(variant, 'operationsPerS')?.median ?? []);
  const base = medianAt(run, ['growth', 'log-0', 'operationsPerS']);
  return base === undefined || rates.length < 2 ? undefined : (100 * Math.min(...rates)) / base;
};

/** A share in percent. */
export const percent = (measure: (run: RunResult) => number | undefined) => (run: RunResult) => {
  const value = measure(run);
  return value === undefined ? undefined : 100 * value;
};
