// Scenario 12: connections that swallow every byte, to Redis and to PostgreSQL: the open ones only (a firewall has forgotten them), and
// all, new ones too, for 20 s. Nobody waits longer than 15 s for an answer, and 15 s after it everything takes its usual way again.
import { setTimeout as sleep } from 'node:timers/promises';
import { startBehindProxies } from '../behindProxies.js';
import { type Client, createClient } from '../client.js';
import { pauseUntil } from '../fleet.js';
import { type Run, runPhases } from '../phases.js';
import { createProbes, judgeProbe, type Probes } from '../probes.js';
import type { TcpProxy } from '../proxy.js';
import type { Scenario, ScenarioContext } from '../scenario.js';

const NOTICED_WITHIN_MS = 15_000;
const BLACK_HOLE_MS = 20_000;
/** Shorter than RECONCILE_AFTER_MS: answered within it, a job was taken by a worker from the queue. */
const USUAL_S = 3;
const PROBE_EVERY_MS = 500;
/** Between two faults, so that each is met by a system that has recovered. */
const PAUSE_MS = 2_000;

export const halfOpen: Scenario = {
  number: 12,
  name: 'half-open',
  title: 'half-open connections to Redis and PostgreSQL are noticed within 15 s',
  // The queue in PostgreSQL is made for one machine, whose loopback forgets no connection: BullMQ's own pool there is not watched.
  backends: ['redis'],
  runsAlone: true,
  options: { durationMs: 130_000, devices: 8, operations: 2_000, apis: 1, workers: 2, rounds: 1 },
  async run(context) {
    const proxied = await startBehindProxies(context, context.options);
    const findings: string[] = [];
    let probes: Probes | undefined;
    const client = createClient(2 * NOTICED_WITHIN_MS);
    await runPhases(context, {
      stack: proxied.stack,
      honoursReadiness: false,
      load: { requestTimeoutMs: 2 * NOTICED_WITHIN_MS },
      async faults(run) {
        probes = createProbes(run, client);
        for (let round = 0; round < context.options.rounds; round += 1) {
          for (const [name, proxy] of [
            ['Redis', proxied.redis],
            ['PostgreSQL', proxied.database],
          ] as const) {
            if (proxy === undefined) continue;
            findings.push(...(await strike(context, probes, name, proxy)));
          }
        }
      },
      async heal() {
        for (const proxy of [proxied.database, proxied.redis]) proxy?.forgetHalfOpen();
        await probes?.settle();
      },
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

async function strike(context: ScenarioContext, probes: Probes, name: string, proxy: TcpProxy): Promise<string[]> {
  const findings: string[] = [];
  const note = async (what: string, work: () => Promise<void>) => {
    const key = `${what}, ${name}`;
    await work();
    context.countFault(key);
    const { usualAfterMs, slowestMs } = await probeUntilUsual(context, probes, key, findings);
    context.measures.notes[`${key}: usual after ms`] = Math.round(usualAfterMs);
    context.measures.notes[`${key}: slowest answer ms`] = Math.round(slowestMs);
    if (usualAfterMs > NOTICED_WITHIN_MS)
      findings.push(`${key}: the usual way was back after ${Math.round(usualAfterMs)} ms`);
    await sleep(PAUSE_MS);
  };
  await note('open connections half-open', async () => void proxy.turnOpenHalfOpen());
  await note('black hole', async () => {
    await proxy.set({ blackhole: true });
    const during = probes.push(0);
    await pauseUntil(Date.now() + BLACK_HOLE_MS, context.signal);
    findings.push(...judgeProbe(await during, NOTICED_WITHIN_MS).map((each) => `black hole, ${name}: ${each}`));
    await proxy.heal();
  });
  return findings;
}

/** Pushes until one is answered with its result the usual way. */
async function probeUntilUsual(context: ScenarioContext, probes: Probes, name: string, findings: string[]) {
  const startedAt = performance.now();
  let slowestMs = 0;
  for (;;) {
    const answer = await probes.push(USUAL_S);
    findings.push(...judgeProbe(answer, NOTICED_WITHIN_MS).map((each) => `${name}: ${each}`));
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
