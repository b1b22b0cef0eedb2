// Scenario 2: api processes die in the middle of requests. A device that got no answer sends again, to the other one (I1, I2).
import { setTimeout as sleep } from 'node:timers/promises';
import { pickOne, repeatFault, runPhases } from '../phases.js';
import type { Scenario } from '../scenario.js';
import { startStack } from '../stack.js';

const EVERY_MS = 3_000;
/** How long a request is waited for: then it is killed in between, as may happen too. */
const REQUEST_LIMIT_MS = 500;

export const killApis: Scenario = {
  number: 2,
  name: 'kill-apis',
  title: 'an api process is killed in mid-request every 3 s',
  backends: ['redis', 'postgres'],
  options: { durationMs: 60_000, devices: 20, operations: 8_000, apis: 2, workers: 2, rounds: 0 },
  short: { durationMs: 9_000, devices: 8, operations: 800, workers: 1 },
  shortOn: ['postgres'],
  async run(context) {
    const stack = await startStack(context, context.options);
    await runPhases(context, {
      stack,
      // Devices send wherever they like, so that requests meet processes that are gone.
      honoursReadiness: false,
      faults: (run) =>
        repeatFault(context, run, EVERY_MS, async (later) => {
          const api = pickOne(context.random, stack.apis());
          const until = Date.now() + REQUEST_LIMIT_MS;
          while (run.targets.underWay(api.url) === 0 && Date.now() < until) await sleep(1);
          context.countFault(run.targets.underWay(api.url) > 0 ? 'SIGKILL in mid-request' : 'SIGKILL of an idle api');
          await api.kill();
          later(api.start());
        }),
    });
    await stack.stopServers();
  },
};
