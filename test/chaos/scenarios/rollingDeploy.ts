// Scenario 14: a new version is rolled out, process by process: the new one is started, gets requests when it is ready, and the old one
// gets SIGTERM. It says that it is not ready while it still serves, so the load balancer leaves it and no request is lost.
import { pauseUntil } from '../fleet.js';
import { type Run, runPhases } from '../phases.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { type Place, startStack } from '../stack.js';

const STREAM_BACK_LIMIT_MS = 2_000;
/** Longer than the load balancer's looks are apart. */
const DRAIN_MS = '1000';

export const rollingDeploy: Scenario = {
  number: 14,
  name: 'rolling-deploy',
  title: '2 api and 2 workers replaced one by one, 10 times',
  backends: ['redis', 'postgres'],
  runsAlone: true,
  options: { durationMs: 120_000, devices: 20, operations: 12_000, apis: 2, workers: 2, rounds: 10 },
  short: { durationMs: 15_000, devices: 6, operations: 600, workers: 1, rounds: 1 },
  async run(context) {
    const stack = await startStack(context, { ...context.options, env: { SHUTDOWN_DRAIN_MS: DRAIN_MS } });
    await runPhases(context, {
      stack,
      async faults(run) {
        for (let round = 0; round < context.options.rounds; round += 1) {
          for (const place of [...stack.places]) await replace(context, run, place);
        }
        await pauseUntil(run.until, context.signal);
      },
      check: ({ fleet, stream }) => [
        ...fleet.lost.map((each) => `a request got no answer: ${each}`).slice(0, 3),
        ...fleet.answers
          .filter(({ status, retryAfter }) => status >= 400 && retryAfter === undefined)
          .map(({ status }) => `answered ${status}, which a client may not retry`),
        ...((stream?.longestBreakMs() ?? 0) > STREAM_BACK_LIMIT_MS ? ['the stream was not back within 2 s'] : []),
      ],
    });
    await stack.stopServers();
  },
};

async function replace(context: ScenarioContext, { stack, targets }: Run, old: Place) {
  const fresh = await stack.addPlace(old.kind);
  await fresh.start();
  if (fresh.kind === 'api') targets.add(fresh.url);
  await old.stop();
  targets.remove(old.url);
  stack.removePlace(old);
  context.countFault(`${old.kind} replaced`);
  await pauseUntil(Date.now() + 200 * context.random(), context.signal);
}
