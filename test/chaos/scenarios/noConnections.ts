// Scenario 19: somebody else takes every connection that PostgreSQL gives, ours were just cut: requests are answered 503 in under a second,
// and two seconds after there are connections again everything works. `rounds` counts how often.
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createClient } from '../client.js';
import { pauseUntil } from '../fleet.js';
import { runPhases } from '../phases.js';
import { createProbes, judgeProbe, type Probes } from '../probes.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { startStack } from '../stack.js';

const REFUSED_WITHIN_MS = 1_000;
const BACK_WITHIN_MS = 2_000;
const HELD_MS = 6_000;
const PAUSE_MS = 3_000;
const POLL_MS = 100;

export const noConnections: Scenario = {
  number: 19,
  name: 'no-connections',
  title: 'PostgreSQL has no connection left: 503 within 1 s, back within 2 s',
  backends: ['redis', 'postgres'],
  runsAlone: true,
  options: { durationMs: 60_000, devices: 8, operations: 1_500, apis: 1, workers: 1, rounds: 5 },
  short: { durationMs: 15_000, operations: 300, rounds: 1 },
  async run(context) {
    const stack = await startStack(context, context.options);
    const client = createClient(20_000);
    const findings: string[] = [];
    let probes: Probes | undefined;
    await runPhases(context, {
      stack,
      honoursReadiness: false,
      async faults(run) {
        probes = createProbes(run, client);
        for (let round = 0; round < context.options.rounds; round += 1) {
          findings.push(...(await starve(context, stack.databaseUrl, probes)));
          await pauseUntil(Date.now() + PAUSE_MS, context.signal);
        }
      },
      heal: () => probes?.settle() ?? Promise.resolve(),
      check: () => findings,
    });
    client.close();
    await stack.stopServers();
  },
};

async function starve(context: ScenarioContext, databaseUrl: string, probes: Probes): Promise<string[]> {
  const findings: string[] = [];
  const outsider = await takeAll(databaseUrl);
  context.countFault('all connections taken');
  let refused = 0;
  for (const until = Date.now() + HELD_MS; Date.now() < until; await sleep(2 * POLL_MS)) {
    const answer = await probes.push(0);
    if (answer.status === 503) refused += 1;
    findings.push(...judgeProbe(answer, REFUSED_WITHIN_MS));
    noteSlowest(context, 'slowest refusal ms', answer.tookMs);
  }
  if (refused === 0) findings.push('nothing was refused: it was no test');
  await outsider.leave();
  const freeAt = performance.now();
  while ((await probes.push(0)).status === 503 && performance.now() - freeAt < 10 * BACK_WITHIN_MS)
    await sleep(POLL_MS);
  const backMs = performance.now() - freeAt;
  noteSlowest(context, 'back after ms', backMs);
  if (backMs > BACK_WITHIN_MS)
    findings.push(`pushes were taken again ${Math.round(backMs)} ms after there were connections`);
  return findings;
}

function noteSlowest({ measures }: ScenarioContext, what: string, tookMs: number) {
  measures.notes[what] = Math.max(Number(measures.notes[what] ?? 0), Math.round(tookMs));
}

/** Cuts our connections and takes every place, again and again until none of ours is left. */
async function takeAll(databaseUrl: string) {
  const held: Client[] = [];
  const take = async (): Promise<boolean> => {
    const client = new Client({ connectionString: databaseUrl, application_name: 'outsider' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      held.push(client);
      return true;
    } catch {
      return false;
    }
  };
  if (!(await take())) throw new Error('the outsider got no connection at all');
  for (let left = 1; left > 0; ) {
    while (await take());
    const cut = await held[0]?.query<{ count: string }>(
      "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'outsider'",
    );
    while (await take());
    left = Number(cut?.rows[0]?.count ?? 0);
  }
  return { leave: async () => void (await Promise.all(held.map((client) => client.end()))) };
}
