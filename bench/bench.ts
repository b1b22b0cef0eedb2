// What a part works with, and the turns its variants take: in every round each variant is measured once, so that what changes on the machine
// between the beginning and the end of a run changes it for all of them.
import type { Releasers } from '../src/embedded/releasers.js';
import type { Settings } from './arguments.js';
import type { Generator } from './generator.js';
import type { Metrics, VariantResult } from './results.js';
import { type Servers, settleDatabases } from './servers.js';

export interface Bench {
  settings: Settings;
  servers: Servers;
  generator: Generator;
  releasers: Releasers;
  /** What has been measured so far, kept even when the part breaks off. */
  results: VariantResult[];
  /** Aborted when the run is to end, or the part has taken too long. */
  signal: AbortSignal;
  say(line: string): void;
}

export interface Variant {
  key: string;
  label: string;
  isOurs: boolean;
  /** Starts what is measured. What it throws becomes the variant's failure; the others go on. */
  prepare(): Promise<() => Promise<Metrics>>;
}

/** Prepares every variant, then measures them in turns. */
export async function measureVariants(bench: Bench, variants: readonly Variant[]): Promise<void> {
  const prepared: { result: VariantResult; measure: (() => Promise<Metrics>) | undefined }[] = [];
  for (const { key, label, isOurs, prepare } of variants) {
    const result: VariantResult = { key, label, isOurs, rounds: [] };
    bench.results.push(result);
    prepared.push({ result, measure: await guard(bench, result, prepare) });
  }
  await settleDatabases(bench.servers);
  for (let round = 1; round <= bench.settings.rounds; round += 1) {
    for (const { result, measure } of prepared) {
      if (measure === undefined || result.failure !== undefined) continue;
      const metrics = await guard(bench, result, measure);
      if (metrics === undefined) continue;
      result.rounds.push(metrics);
      bench.say(`  ${round}/${bench.settings.rounds} ${result.label}: ${describe(metrics)}`);
    }
  }
}

/** Runs a step of a variant; a fault is written into its result. What ends the whole part is passed on. */
async function guard<Value>(
  bench: Bench,
  result: VariantResult,
  step: () => Promise<Value>,
): Promise<Value | undefined> {
  bench.signal.throwIfAborted();
  try {
    return await step();
  } catch (error) {
    bench.signal.throwIfAborted();
    result.failure = error instanceof Error ? error.message : String(error);
    bench.say(`  ${result.label}: ${result.failure}`);
    return undefined;
  }
}

const SHOWN = ['operationsPerS', 'rowsPerS', 'requestsPerS', 'p50Ms', 'p99Ms', 'refused'];

function describe(metrics: Metrics): string {
  const shown = SHOWN.filter((name) => metrics[name] !== undefined);
  const names = shown.length > 0 ? shown : Object.keys(metrics).slice(0, 4);
  return names.map((name) => `${name} ${Number((metrics[name] ?? 0).toPrecision(4))}`).join(', ');
}
