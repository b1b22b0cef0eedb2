// What a scenario is: real processes under load, faults from a seed, and one check at the end. test/chaos/README.md tells how to write one.
import type { Backend } from '../support/environment.js';

export interface ScenarioOptions {
  /** How long the devices edit, which is also how long faults are injected unless `rounds` says how often. */
  durationMs: number;
  devices: number;
  /** Edits of all devices together, spread over the time. */
  operations: number;
  apis: number;
  workers: number;
  /** How often the fault happens, where the scenario counts it; else 0. */
  rounds: number;
}

/** What is measured; filled in while the scenario runs. */
export interface Measures {
  operations: number;
  acknowledged: number;
  resends: number;
  /** How often each kind of fault was injected. */
  faults: Record<string, number>;
  /** From the end of the faults until every operation was settled and every device knew it. */
  recoveryMs: number | undefined;
  /** Of pushes that do not wait for workers, answered with 2xx. */
  acceptMs: number[];
  /** Memory of the processes in MB: at the start of the faults, at the end, and the most any of them ever held. */
  memory: { startMb: number; endMb: number; peakMb: number } | undefined;
  /** What this very scenario measures besides. */
  notes: Record<string, string | number>;
}

export interface ScenarioContext {
  seed: number;
  /** Numbers in [0, 1) from the seed, for fault times and choices. Devices have generators of their own. */
  random: () => number;
  options: ScenarioOptions;
  backend: Backend;
  /** The folder of this run: database, logs and the log of operations. */
  folder: string;
  measures: Measures;
  /** Aborted when the run is stopped from outside. */
  signal: AbortSignal;
  say(line: string): void;
  countFault(kind: string): void;
}

export interface Scenario {
  /** The number in docs/operations.md. */
  number: number;
  name: string;
  title: string;
  /** The queue backends it makes sense with. The first one is taken by `npm run chaos`. */
  backends: readonly [Backend, ...Backend[]];
  options: ScenarioOptions;
  /** It measures how fast something is: nothing else runs beside it. */
  runsAlone?: boolean;
  /** How it runs inside `npm test`; without it, it does not. */
  short?: Partial<ScenarioOptions>;
  /** With which backends it does; only with the first of `backends` if it is not given: once is enough for most. */
  shortOn?: readonly Backend[];
  /** @throws what the check found, or what kept the scenario from running */
  run(context: ScenarioContext): Promise<void>;
}
