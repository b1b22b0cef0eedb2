// Scenario 1: workers die in the middle of transactions. Their operations are rolled back and applied by another one (I1, I2).
import { pickOne, repeatFault, runPhases } from '../phases.js';
import type { Scenario } from '../scenario.js';
import { startStack } from '../stack.js';

const EVERY_MS = 2_000;

export const killWorkers: Scenario = {
  number: 1,
  name: 'kill-workers',
  title: 'a random worker is killed every 2 s',
  backends: ['redis', 'postgres'],
  options: { durationMs: 60_000, devices: 20, operations: 10_000, apis: 1, workers: 2, rounds: 0 },
  short: { durationMs: 9_000, devices: 8, operations: 800 },
  shortOn: ['redis', 'postgres'],
  async run(context) {
    const stack = await startStack(context, context.options);
    await runPhases(context, {
      stack,
      faults: (run) =>
        repeatFault(context, run, EVERY_MS, async (later) => {
          const worker = pickOne(context.random, stack.workers());
          await worker.kill();
          context.countFault('SIGKILL of a worker');
          later(worker.start());
        }),
    });
    await stack.stopServers();
  },
};
