// Runs one scenario in a folder of its own. When it fails the folder stays, with the database (stopped), the logs of all processes and the
// log of every operation.
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUpAll } from '../support/cleanup.js';
import type { Backend } from '../support/environment.js';
import { createRandom } from '../support/oracle.js';
import type { Measures, Scenario, ScenarioContext, ScenarioOptions } from './scenario.js';

export interface ScenarioResult {
  scenario: Scenario;
  seed: number;
  options: ScenarioOptions;
  measures: Measures;
  tookMs: number;
  /** Why it failed; undefined when it passed. */
  fault: string | undefined;
  /** What is left of a failed one. */
  folder: string | undefined;
}

export interface RunOptions {
  seed: number;
  backend: Backend;
  /** Over the scenario's own. */
  options: Partial<ScenarioOptions>;
  /** Gets the scenario's folder. */
  parentFolder: string;
  signal: AbortSignal;
  say(line: string): void;
}

export const folderNameOf = ({ name }: Scenario, { backend, seed }: Pick<RunOptions, 'backend' | 'seed'>) =>
  `${name}-${backend}-${seed}`;

export const createMeasures = (): Measures => ({
  operations: 0,
  acknowledged: 0,
  resends: 0,
  faults: {},
  recoveryMs: undefined,
  acceptMs: [],
  memory: undefined,
  notes: {},
});

/** Runs it and never throws: what went wrong is in the result. */
export async function runScenario(scenario: Scenario, run: RunOptions): Promise<ScenarioResult> {
  const { seed, backend, signal, say } = run;
  const options = { ...scenario.options, ...run.options };
  const folder = join(run.parentFolder, folderNameOf(scenario, run));
  mkdirSync(folder, { recursive: true });
  // PostgreSQL may have to run as another user, which passes through here.
  chmodSync(folder, 0o755);
  const measures = createMeasures();
  const random = createRandom(seed * 104_729 + scenario.number);
  const countFault = (kind: string) => {
    measures.faults[kind] = (measures.faults[kind] ?? 0) + 1;
  };
  const context: ScenarioContext = { seed, random, options, backend, folder, measures, signal, say, countFault };
  const startedAt = performance.now();
  const fault = await scenario.run(context).then(
    () => undefined,
    (error: unknown) =>
      error instanceof Error ? (error.name === 'CheckFailed' ? error.message : error.stack) : String(error),
  );
  await cleanUpAll();
  const tookMs = performance.now() - startedAt;
  if (fault === undefined) rmSync(folder, { recursive: true, force: true });
  else writeFileSync(join(folder, 'finding.txt'), `${fault}\n`);
  return { scenario, seed, options, measures, tookMs, fault, folder: fault === undefined ? undefined : folder };
}
