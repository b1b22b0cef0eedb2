// What a run leaves behind: plain JSON, one flat set of numbers a round and variant, so that whatever is said about a run (tables,
// targets, chart) is computed from this and can be computed again.
import type { Machine } from './machine.js';
import { type Spread, spreadOf } from './statistics.js';

/** Numbers of one round by name: operationsPerS, p50Ms, p99Ms, cpu.api (us an operation), rss.api (MB, the highest seen) ... */
export type Metrics = Readonly<Record<string, number>>;

export interface VariantResult {
  key: string;
  label: string;
  /** False for what stands beside the product: when that cannot be measured, the run has not failed. */
  isOurs: boolean;
  rounds: Metrics[];
  /** Why there are no rounds, or no more of them. */
  failure?: string;
}

export interface PartResult {
  part: string;
  tookS: number;
  variants: VariantResult[];
  /** What broke the part as a whole. */
  failure?: string;
}

export interface RunResult {
  command: string;
  /** ISO 8601. */
  startedAt: string;
  commit: string;
  machine: Machine;
  rounds: number;
  measureMs: number;
  parts: PartResult[];
}

/** One variant of a part. */
export function findVariant(run: RunResult, part: string, key: string): VariantResult | undefined {
  return run.parts.find((each) => each.part === part)?.variants.find((variant) => variant.key === key);
}

/** A metric of a variant over its rounds; undefined where it was not measured. */
export function spreadOfMetric(variant: VariantResult | undefined, metric: string): Spread | undefined {
  return spreadOf((variant?.rounds ?? []).flatMap((round) => round[metric] ?? []));
}

/** What went wrong with the product or with the suite itself, one sentence each; peers that could not be measured are not in it. */
export function failuresOf(run: RunResult): string[] {
  return run.parts.flatMap(({ part, failure, variants }) => [
    ...(failure === undefined ? [] : [`${part}: ${failure}`]),
    ...variants.flatMap((each) =>
      each.isOurs && each.failure !== undefined ? [`${part}, ${each.label}: ${each.failure}`] : [],
    ),
  ]);
}
