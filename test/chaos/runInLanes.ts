// Several scenarios at a time, each with a process, servers and ports of its own. Those that measure how fast something is run alone, when
// the others are done: a neighbour on the same cores would spoil what they find.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { createMeasures, folderNameOf, type RunOptions, type ScenarioResult } from './runScenario.js';
import type { Scenario } from './scenario.js';

/** What a lane's process is told. */
export type LaneOrder = Omit<RunOptions, 'signal' | 'say'> & { number: number };

/** What it tells. */
export type LaneMessage = { line: string } | { result: LaneResult };
type LaneResult = Omit<ScenarioResult, 'scenario'>;

export interface Planned {
  scenario: Scenario;
  run: Omit<RunOptions, 'signal' | 'say'>;
}

interface Reports {
  onStart(planned: Planned): void;
  onLine(planned: Planned, line: string): void;
  onResult(planned: Planned, result: ScenarioResult): void;
}

/** @returns the results in the order of the plan, without those that a stop kept from starting */
export async function runInLanes(
  plan: readonly Planned[],
  lanes: number,
  signal: AbortSignal,
  reports: Reports,
): Promise<ScenarioResult[]> {
  const results = new Map<Planned, ScenarioResult>();
  const workOff = async (waiting: Planned[]) => {
    for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
      reports.onStart(next);
      const result = await runInProcess(next, signal, reports);
      results.set(next, result);
      reports.onResult(next, result);
    }
  };
  // The longest first, so that no lane is left with one of them at the end.
  const longestFirst = [...plan].sort((a, b) => durationOf(b) - durationOf(a));
  const together = longestFirst.filter(({ scenario }) => scenario.runsAlone !== true);
  await Promise.all(Array.from({ length: lanes }, () => workOff(together)));
  await workOff(plan.filter(({ scenario }) => scenario.runsAlone === true));
  return plan.flatMap((planned) => results.get(planned) ?? []);
}

const durationOf = ({ scenario, run }: Planned) => run.options.durationMs ?? scenario.options.durationMs;

/** Never rejects: a scenario whose process ends without a result has failed, and the others go on. */
function runInProcess(planned: Planned, signal: AbortSignal, { onLine }: Reports): Promise<ScenarioResult> {
  const { scenario, run } = planned;
  const order: LaneOrder = { ...run, number: scenario.number };
  const startedAt = performance.now();
  const child = fork(new URL('./lane.js', import.meta.url), [JSON.stringify(order)]);
  const stop = () => child.kill('SIGTERM');
  signal.addEventListener('abort', stop);
  let result: LaneResult | undefined;
  child.on('message', (message: LaneMessage) => {
    if ('line' in message) onLine(planned, message.line);
    else result = message.result;
  });
  const failed = (fault: string): LaneResult => ({
    seed: run.seed,
    options: { ...scenario.options, ...run.options },
    measures: createMeasures(),
    tookMs: performance.now() - startedAt,
    fault,
    folder: join(run.parentFolder, folderNameOf(scenario, run)),
  });
  return new Promise((resolve) => {
    const end = (fault: string) => {
      signal.removeEventListener('abort', stop);
      resolve({ scenario, ...(result ?? failed(fault)) });
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (code, killedBy) => end(`its process ended without a result (${killedBy ?? `code ${code}`})`));
  });
}
