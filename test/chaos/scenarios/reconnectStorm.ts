// Scenario 22: the api was away, and all devices are back in the same second, with edits and a feed to read, some
// with a stream to open.
import { createRandom } from '../../support/oracle.js';
import { pauseUntil } from '../fleet.js';
import { followLive, type LiveStream } from '../liveStream.js';
import { type Run, runPhases } from '../phases.js';
import { percentile } from '../report.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { startStack } from '../stack.js';
import { checkRefusals } from './postgresFaults.js';

const AWAY_MS = 3_000;
const WITHIN_MS = 1_000;
const STREAM_POLL_MS = 100;
/** Every change goes to every stream, and the devices share two cores with the server: not each of them keeps one open. */
const DEVICES_A_STREAM = 5;

export const reconnectStorm: Scenario = {
  number: 22,
  name: 'reconnect-storm',
  title: '500 devices that reconnect in the same second',
  backends: ['redis', 'postgres'],
  runsAlone: true,
  options: { durationMs: 30_000, devices: 500, operations: 2_000, apis: 1, workers: 2, rounds: 1 },
  async run(context) {
    const stack = await startStack(context, context.options);
    const streams: LiveStream[] = [];
    try {
      await runPhases(context, {
        stack,
        load: { editsAtOnce: 3 },
        honoursReadiness: false,
        faults: (run) => storm(context, run, streams),
        check: async (run, state) => {
          const wanted = JSON.stringify(run.stream?.live());
          for (const until = Date.now() + 10_000; streams.some((each) => each.seq() < state.seq); ) {
            if (Date.now() > until) break;
            await pauseUntil(Date.now() + 50, context.signal);
          }
          const odd = streams.filter((each) => JSON.stringify(each.live()) !== wanted).length;
          return [
            ...checkRefusals(run, context.measures.notes),
            ...(odd > 0 ? [`${odd} of ${streams.length} streams hold something else than the others`] : []),
          ];
        },
        beforeStop: () => closeAll(streams),
      });
    } finally {
      await closeAll(streams);
    }
    await stack.stopServers();
  },
};

async function storm(context: ScenarioContext, run: Run, streams: LiveStream[]) {
  const { stack, fleet, targets, history } = run;
  const cursor = () => run.stream?.place() ?? { cursor: '', seq: 0, tasks: [] };
  const count = Math.floor(context.options.devices / DEVICES_A_STREAM);
  const from = cursor();
  const open = (index: number) =>
    followLive(targets, history, createRandom(context.seed * 13 + index), { pollMs: STREAM_POLL_MS, from });
  streams.push(...(await Promise.all(Array.from({ length: count }, (_, index) => open(index)))));
  const [api] = stack.apis();
  if (api === undefined) throw new Error('there is no api');
  fleet.hold();
  await api.kill();
  await pauseUntil(Date.now() + AWAY_MS, context.signal);
  await api.start();
  const backAt = Date.now();
  const answersBefore = fleet.answers.length;
  fleet.release(WITHIN_MS);
  context.countFault(`${context.options.devices} devices back within ${WITHIN_MS} ms`);
  await pauseUntil(run.until, context.signal);
  const took = fleet.answers.slice(answersBefore).filter(({ at }) => at < backAt + 5_000);
  context.measures.notes['answers in 5 s after'] = took.length;
  context.measures.notes['their p99 ms'] = Math.round(
    percentile(
      took.map(({ tookMs }) => tookMs),
      0.99,
    ) ?? 0,
  );
  context.measures.notes['longest break of a stream ms'] = Math.max(0, ...streams.map((each) => each.longestBreakMs()));
}

async function closeAll(streams: LiveStream[]) {
  await Promise.all(streams.map((each) => each.close()));
}
