// Scenario 9: of every hundred commits five are done while their caller is cut off and sees a failure. What is sent or tried again must
// have its effect once (I2), and nothing that was done may be forgotten.
import { startBehindProxies } from '../behindProxies.js';
import { pauseUntil } from '../fleet.js';
import { runPhases } from '../phases.js';
import type { Scenario } from '../scenario.js';

const SHARE = 0.05;
/** A short run has few commits: a hundred or so, as batches are stored and applied together. */
const SHORT_SHARE = 0.2;
const SHORT_MS = 30_000;

export const lostCommits: Scenario = {
  number: 9,
  name: 'lost-commits',
  title: 'the answer to COMMIT is lost in 5 % of transactions',
  backends: ['redis', 'postgres'],
  options: { durationMs: 60_000, devices: 20, operations: 6_000, apis: 1, workers: 2, rounds: 0 },
  short: { durationMs: 8_000, devices: 8, operations: 600 },
  async run(context) {
    const proxied = await startBehindProxies(context, context.options);
    const commitLossRate = context.options.durationMs < SHORT_MS ? SHORT_SHARE : SHARE;
    try {
      await runPhases(context, {
        stack: proxied.stack,
        async faults(run) {
          await proxied.database.set({ commitLossRate });
          await pauseUntil(run.until, context.signal);
          await proxied.heal();
        },
        check: () =>
          proxied.database.counts.commitsLost < 5 ? ['hardly any answer to a commit was lost: no test'] : [],
      });
    } finally {
      await proxied.stop();
    }
  },
};
