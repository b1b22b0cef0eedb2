// Scenarios 5 and 6: no Redis. Batches are accepted as fast as ever, the reconcilers apply them directly, and once Redis is (back) there,
// workers use it again (I1: Redis is never the only copy).
import { Redis } from 'ioredis';
import { findFreePort } from '../../../src/embedded/ports.js';
import { createClient } from '../client.js';
import { pauseUntil } from '../fleet.js';
import { pickOne, type Run, runPhases } from '../phases.js';
import { percentile } from '../report.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { startStack } from '../stack.js';

const OUTAGES_MS = [5_000, 20_000, 60_000];
const ACCEPT_P99_LIMIT_MS = 500;
const BACK_LIMIT_MS = 10_000;
/** An answer within this came by a job: the reconciler does not look at operations younger than RECONCILE_AFTER_MS (5 s). */
const BY_JOB_MS = 2_000;

export const redisDown: Scenario = {
  number: 5,
  name: 'redis-down',
  title: 'Redis killed for 5, 20 and 60 s',
  backends: ['redis'],
  runsAlone: true,
  options: { durationMs: 125_000, devices: 20, operations: 10_000, apis: 1, workers: 2, rounds: 3 },
  short: { durationMs: 16_000, devices: 8, operations: 800, workers: 1, rounds: 1 },
  async run(context) {
    const stack = await startStack(context, context.options);
    await runPhases(context, {
      stack,
      async faults(run) {
        for (const outageMs of OUTAGES_MS.slice(0, context.options.rounds)) await breakRedis(context, run, outageMs);
      },
    });
    await stack.stopServers();
  },
};

async function breakRedis(context: ScenarioContext, run: Run, outageMs: number) {
  const { redis } = run.stack;
  if (redis === undefined) throw new Error('this scenario is about Redis');
  await pauseUntil(Date.now() + 1_000 * (1 + context.random()), context.signal);
  const { acceptMs, notes } = context.measures;
  const acceptedBefore = acceptMs.length;
  const answersBefore = run.fleet.answers.length;
  await redis.end('SIGKILL');
  context.countFault(`Redis away for ${outageMs / 1_000} s`);
  await pauseUntil(Date.now() + outageMs, context.signal);
  const p99 = percentile(acceptMs.slice(acceptedBefore), 0.99) ?? 0;
  const refused = run.fleet.answers.slice(answersBefore).filter(({ status }) => status !== 200 && status !== 202);
  notes[`accept p99 in ${outageMs / 1_000} s without Redis, ms`] = Math.round(p99);
  if (p99 > ACCEPT_P99_LIMIT_MS) run.history.violate(`accepting took ${Math.round(p99)} ms (p99) without Redis`);
  if (refused.length > 0) run.history.violate(`${refused.length} requests were answered ${refused[0]?.status}`);
  await redis.start();
  const startedAt = Date.now();
  await untilJobsFlow(run, startedAt);
  notes[`jobs flow after ${outageMs / 1_000} s, ms`] = Date.now() - startedAt;
}

/** Pushes single operations until one is answered so fast that a job must have done it. */
async function untilJobsFlow(run: Run, startedAt: number) {
  const client = createClient(BACK_LIMIT_MS);
  try {
    for (let tries = 0; Date.now() - startedAt < BACK_LIMIT_MS; tries += 1) {
      const now = new Date(Date.now() - 100).toISOString();
      const id = `probe-${startedAt}-${tries}`;
      const data = { id, title: 'Probe', updated_at: now };
      const item = { client_id: 'probe', op_id: id, operation: 'create' as const, data };
      const operation = run.history.make(item);
      run.history.invoke([operation], 'probe');
      const [api] = run.stack.apis();
      const answer = await client.send('POST', `${api?.url}/api/sync/batch`, { items: [item] }, { prefer: 'wait=20' });
      run.history.tell(operation, answer.body.processed_items[0].status);
      if (answer.status === 200 && answer.tookMs < BY_JOB_MS) return;
    }
  } finally {
    client.close();
  }
  run.history.violate(`${BACK_LIMIT_MS} ms after Redis was back, workers do not use it`);
}

export const redisNever: Scenario = {
  number: 6,
  name: 'redis-never',
  title: 'started while Redis was never reachable',
  backends: ['redis'],
  options: { durationMs: 30_000, devices: 20, operations: 4_000, apis: 1, workers: 2, rounds: 0 },
  short: { durationMs: 8_000, devices: 6, operations: 400, workers: 1 },
  async run(context) {
    const missingRedisUrl = `redis://127.0.0.1:${await findFreePort()}`;
    const stack = await startStack(context, { ...context.options, missingRedisUrl });
    context.countFault('Redis was never there');
    await runPhases(context, { stack, faults: (run) => pauseUntil(run.until, context.signal) });
    await stack.stopServers();
  },
};

const CLIENT_KILL_EVERY_MS = 1_000;
const SLEEP_S = 5;

export const redisClients: Scenario = {
  number: 10,
  name: 'redis-clients',
  title: 'CLIENT KILL TYPE normal every second; DEBUG SLEEP 5 five times',
  backends: ['redis'],
  options: { durationMs: 60_000, devices: 20, operations: 8_000, apis: 2, workers: 2, rounds: 5 },
  short: { durationMs: 14_000, devices: 6, operations: 600, apis: 1, workers: 1, rounds: 1 },
  async run(context) {
    const { rounds } = context.options;
    const stack = await startStack(context, context.options);
    const admin = new Redis(stack.redis?.url ?? '');
    try {
      await runPhases(context, {
        stack,
        async faults(run) {
          const sleeps = Array.from({ length: rounds }, (_, round) => round + 0.2 + 0.5 * context.random());
          const spanMs = run.until - Date.now();
          let nextSleepAt = Date.now() + ((sleeps.shift() ?? 0) / rounds) * spanMs;
          for (const startedAt = Date.now(); Date.now() < run.until; ) {
            await pauseUntil(Date.now() + CLIENT_KILL_EVERY_MS * (0.7 + 0.6 * context.random()), context.signal);
            // SKIPME keeps this connection; pub/sub ones are another type.
            await admin.client(
              'KILL',
              'TYPE',
              pickOne(context.random, ['normal', 'normal', 'pubsub']),
              'SKIPME',
              'yes',
            );
            context.countFault('CLIENT KILL');
            if (Date.now() < nextSleepAt) continue;
            await admin.call('DEBUG', 'SLEEP', String(SLEEP_S));
            context.countFault('DEBUG SLEEP 5');
            const next = sleeps.shift();
            nextSleepAt = next === undefined ? Number.POSITIVE_INFINITY : startedAt + (next / rounds) * spanMs;
          }
        },
      });
    } finally {
      admin.disconnect();
    }
    await stack.stopServers();
  },
};
