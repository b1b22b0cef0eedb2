// Variants of the parts that push: a fleet against a system, with what each process costs an operation.
import type { Bench, Variant } from './bench.js';
import type { Fleet, Target } from './generator/jobs.js';
import type { Measured } from './generator.js';
import type { MeteredProcess } from './meter.js';
import type { Metrics } from './results.js';

/** Making the tasks of a fleet: the naive server takes seconds. */
export const PREPARE_LIMIT_MS = 120_000;
/** Beyond what a job is meant to take: the answers that are still under way. */
export const GRACE_MS = 90_000;

/** A system that can be talked to. */
export interface Running {
  target: Target;
  processes: readonly MeteredProcess[];
}

export interface FleetVariant extends Omit<Fleet, 'id' | 'target'> {
  key: string;
  label: string;
  isOurs: boolean;
  /** Starts the system, or finds it running. */
  start: () => Promise<Running>;
}

/** A variant that makes a fleet's tasks once and lets it work in every round. */
export function fleetVariant(bench: Bench, { key, label, isOurs, start, ...fleet }: FleetVariant): Variant {
  return {
    key,
    label,
    isOurs,
    async prepare() {
      const { target, processes } = await start();
      await prepareFleet(bench, { ...fleet, id: key, target });
      return async () => metricsOf(await runFleets(bench, [{ id: key }], processes));
    },
  };
}

export async function prepareFleet(bench: Bench, fleet: Fleet): Promise<void> {
  await bench.generator.run({ kind: 'prepare', fleet }, [], PREPARE_LIMIT_MS);
}

/** Lets fleets that were prepared work at once. */
export function runFleets(
  bench: Bench,
  fleets: { id: string; operationsPerS?: number }[],
  processes: readonly MeteredProcess[],
): Promise<Measured> {
  const { warmUpMs, measureMs } = bench.settings;
  const job = { kind: 'load', fleets, warmUpMs, measureMs } as const;
  return bench.generator.run(job, [...bench.servers.processes, ...processes], warmUpMs + measureMs + GRACE_MS);
}

/** The numbers of the job's fleet `index`, the CPU time of each process an operation of all fleets (us), and the memory (MB). */
export function metricsOf({ result, consumption }: Measured, index?: number): Metrics {
  const prefix = `${index ?? 0}.`;
  const isLoad = Object.keys(result).some((name) => name.startsWith('0.'));
  const own = isLoad
    ? Object.entries(result).flatMap(([name, value]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
      )
    : Object.entries(result);
  const operations = Object.entries(result)
    .filter(([name]) => name.endsWith('settled') || name === 'operations')
    .reduce((sum, [, value]) => sum + value, 0);
  const cpu = Object.entries(consumption.cpuMs).map(([name, ms]) => [`cpu.${name}`, (ms * 1_000) / operations]);
  const rss = Object.entries(consumption.rssMb).map(([name, mb]) => [`rss.${name}`, mb]);
  return Object.fromEntries([...own, ...(operations > 0 ? cpu : []), ...rss]);
}

/** Starts something at its first use, and gives the same to everybody; a start that failed has failed for all. */
export function once<Value>(start: () => Promise<Value>): () => Promise<Value> {
  let started: Promise<Value> | undefined;
  return () => {
    started ??= start();
    return started;
  };
}
