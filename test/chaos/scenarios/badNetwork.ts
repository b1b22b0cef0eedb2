// Scenario 13: a slow and broken network to both servers: 200 ms, give or take 200, each way, and one message in twenty is answered with a
// reset.
import { startBehindProxies } from '../behindProxies.js';
import { pauseUntil } from '../fleet.js';
import { runPhases } from '../phases.js';
import type { Scenario } from '../scenario.js';

const FAULTS = { delayMs: 200, jitterMs: 200, resetRate: 0.05 };
/** A push takes half a dozen round trips, some of them over a connection that has to be made first. */
const REQUEST_TIMEOUT_MS = 30_000;

export const badNetwork: Scenario = {
  number: 13,
  name: 'bad-network',
  title: '200 ms +- 200 ms and 5 % resets on the ways to PostgreSQL and Redis',
  backends: ['redis', 'postgres'],
  options: { durationMs: 60_000, devices: 10, operations: 2_000, apis: 1, workers: 2, rounds: 0 },
  async run(context) {
    const proxied = await startBehindProxies(context, context.options);
    await runPhases(context, {
      stack: proxied.stack,
      honoursReadiness: false,
      load: { requestTimeoutMs: REQUEST_TIMEOUT_MS },
      async faults(run) {
        await proxied.setBoth(FAULTS);
        await pauseUntil(run.until, context.signal);
        await proxied.heal();
      },
    });
    await proxied.stop();
  },
};
