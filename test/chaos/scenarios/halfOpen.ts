// Scenario 12: connections that swallow every byte, to Redis and to PostgreSQL: the open ones only (a firewall has forgotten them), and
// all, new ones too, for 20 s. Nobody waits longer than 15 s for an answer, and 15 s after it everything takes its usual way again.
import { setTimeout as sleep } from 'node:timers/promises';
import { createItem } from '../../support/operations.js';
import { startBehindProxies } from '../behindProxies.js';
import { type Answer, type Client, createClient } from '../client.js';
import { pauseUntil } from '../fleet.js';
import { type Run, runPhases } from '../phases.js';
import type { TcpProxy } from '../proxy.js';
import type { Scenario, ScenarioContext } from '../scenario.js';

const NOTICED_WITHIN_MS = 15_000;
const BLACK_HOLE_MS = 20_000;
/** Shorter than RECONCILE_AFTER_MS: answered within it, a job was taken by a worker from the queue. */
const USUAL_S = 3;
const PROBE_EVERY_MS = 500;
/** Between two faults, so that each is met by a system that has recovered. */
const PAUSE_MS = 2_000;
/** Who sends the probes. */
const PROBE = 'probe';

export const halfOpen: Scenario = {
  number: 12,
  name: 'half-open',
  title: 'half-open connections to Redis and PostgreSQL are noticed within 15 s',
  backends: ['redis', 'postgres'],
  options: { durationMs: 130_000, devices: 8, operations: 2_000, apis: 1, workers: 2, rounds: 1 },
  async run(context) {
    const proxied = await startBehindProxies(context, context.options);
    const findings: string[] = [];
    const client = createClient(2 * NOTICED_WITHIN_MS);
    await runPhases(context, {
      stack: proxied.stack,
      honoursReadiness: false,
      load: { requestTimeoutMs: 2 * NOTICED_WITHIN_MS },
      async faults(run) {
        for (let round = 0; round < context.options.rounds; round += 1) {
          for (const [name, proxy] of [
            ['Redis', proxied.redis],
            ['PostgreSQL', proxied.database],
          ] as const) {
            if (proxy === undefined) continue;
            findings.push(...(await strike(context, run, client, name, proxy)));
          }
        }
      },
      heal: (run) => settleProbes(run, client),
      async check(run) {
        findings.push(...(await expectQueueRuns(run, client)));
        client.close();
        const slow = run.fleet.answers.filter(({ tookMs }) => tookMs > NOTICED_WITHIN_MS);
        if (slow.length > 0)
          findings.push(
            `${slow.length} requests of devices took over ${NOTICED_WITHIN_MS} ms, the first ${JSON.stringify(slow[0])}`,
          );
        return findings;
      },
    });
    await proxied.stop();
  },
};

/** Asks for what came of the probes that were answered 202, as a device would. */
async function settleProbes(run: Run, client: Client) {
  const url = run.stack.apis()[0]?.url ?? '';
  const open = [...run.history.operations.values()].filter(
    ({ item, status, acknowledgedAtMs }) =>
      item.client_id === PROBE && status === undefined && acknowledgedAtMs !== undefined,
  );
  for (const recorded of open) {
    const body = { items: [recorded.item] };
    const answer = await client.send('POST', `${url}/api/sync/batch`, body, { prefer: 'wait=10' });
    run.history.tell(recorded, String(answer.body.processed_items[0].status));
  }
}

async function strike(
  context: ScenarioContext,
  run: Run,
  client: Client,
  name: string,
  proxy: TcpProxy,
): Promise<string[]> {
  const findings: string[] = [];
  const note = async (what: string, work: () => Promise<void>) => {
    const key = `${what}, ${name}`;
    await work();
    context.countFault(key);
    const { usualAfterMs, slowestMs } = await probeUntilUsual(context, run, client, key, findings);
    context.measures.notes[`${key}: usual after ms`] = Math.round(usualAfterMs);
    context.measures.notes[`${key}: slowest answer ms`] = Math.round(slowestMs);
    if (usualAfterMs > NOTICED_WITHIN_MS)
      findings.push(`${key}: the usual way was back after ${Math.round(usualAfterMs)} ms`);
    await sleep(PAUSE_MS);
  };
  await note('open connections half-open', async () => void proxy.turnOpenHalfOpen());
  await note('black hole', async () => {
    await proxy.set({ blackhole: true });
    const during = probe(run, client, `${name}-${Date.now()}`, 0);
    await pauseUntil(Date.now() + BLACK_HOLE_MS, context.signal);
    findings.push(...judge(await during, `black hole, ${name}`));
    await proxy.heal();
  });
  return findings;
}

/** Pushes until one is answered with its result the usual way. */
async function probeUntilUsual(context: ScenarioContext, run: Run, client: Client, name: string, findings: string[]) {
  const startedAt = performance.now();
  let slowestMs = 0;
  for (let index = 0; ; index += 1) {
    const answer = await probe(run, client, `${name}-${index}-${Date.now()}`, USUAL_S);
    findings.push(...judge(answer, name));
    slowestMs = Math.max(slowestMs, answer.tookMs);
    const usualAfterMs = performance.now() - startedAt;
    if (answer.status === 200 || usualAfterMs > 3 * NOTICED_WITHIN_MS) return { usualAfterMs, slowestMs };
    await pauseUntil(Date.now() + PROBE_EVERY_MS, context.signal);
  }
}

/** The workers take jobs from the queue again, all of them: nothing is left in it. */
async function expectQueueRuns(run: Run, client: Client): Promise<string[]> {
  const url = run.stack.apis()[0]?.url ?? '';
  let last: unknown;
  for (const until = Date.now() + NOTICED_WITHIN_MS; Date.now() < until; await sleep(PROBE_EVERY_MS)) {
    const [status, health] = [
      await client.send('GET', `${url}/api/sync/status`),
      await client.send('GET', `${url}/health`),
    ];
    const { waiting, active } = status.body.queue;
    if (waiting === 0 && active === 0 && health.body.status === 'ok') return [];
    last = { queue: status.body.queue, health: health.body };
  }
  return [`the queue does not run as usual: ${JSON.stringify(last)}`];
}

/** One operation that the history knows, so that the check finds it. */
async function probe(run: Run, client: Client, id: string, waitS: number): Promise<Answer> {
  const url = run.stack.apis()[0]?.url ?? '';
  const { op_id, client_id, operation } = createItem(id, {}, { client_id: PROBE });
  const data = {
    id: id.replaceAll(' ', '-'),
    title: id,
    updated_at: new Date(Date.now() - 1_000).toISOString().replace('Z', '000Z'),
  };
  const recorded = run.history.make({ client_id, op_id, operation, data });
  run.history.invoke([recorded], 'probe');
  const headers = { prefer: waitS === 0 ? 'respond-async' : `wait=${waitS}` };
  const answer = await client.send('POST', `${url}/api/sync/batch`, { items: [recorded.item] }, headers);
  if (answer.status < 300) run.history.tell(recorded, String(answer.body.processed_items[0].status));
  return answer;
}

function judge({ status, tookMs, headers }: Answer, name: string): string[] {
  const findings: string[] = [];
  if (![200, 202, 503].includes(status)) findings.push(`${name}: a push was answered ${status}`);
  if (status === 503 && headers['retry-after'] === undefined) findings.push(`${name}: 503 without Retry-After`);
  if (tookMs > NOTICED_WITHIN_MS)
    findings.push(`${name}: a push was answered ${status} after ${Math.round(tookMs)} ms`);
  return findings;
}
