// One scenario in a process of its own, which `runInLanes.ts` starts: whatever becomes of it, the others go on. The order comes as its
// argument; lines and the result go back as messages.
import { setMaxListeners } from 'node:events';
import { runnerEnvironment } from '../support/environment.js';
import type { LaneMessage, LaneOrder } from './runInLanes.js';
import { runScenario } from './runScenario.js';
import { SCENARIOS } from './scenarios/index.js';

async function main() {
  const order: LaneOrder = JSON.parse(process.argv[2] ?? '{}');
  const scenario = SCENARIOS.find(({ number }) => number === order.number);
  if (scenario === undefined) throw new Error('this is started by run.js');
  runnerEnvironment.TEST_FOLDER = order.parentFolder;
  const controller = new AbortController();
  // One listener for each device that waits.
  setMaxListeners(0, controller.signal);
  const stop = () => controller.abort(new Error('The run was stopped.'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  // The run is gone.
  process.on('disconnect', stop);
  // The run may be gone, and the scenario still has to end in order.
  const tell = (message: LaneMessage) => process.send?.(message, () => undefined);
  const { signal } = controller;
  const { scenario: _, ...result } = await runScenario(scenario, { ...order, signal, say: (line) => tell({ line }) });
  process.send?.({ result } satisfies LaneMessage, () => process.exit(0));
}

void main();
