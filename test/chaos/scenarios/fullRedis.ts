// Scenario 18: Redis at its maxmemory refuses every write (noeviction). Batches are accepted and applied directly, /health says what is
// wrong, and with room in Redis the workers take jobs again.
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createClient } from '../client.js';
import { pauseUntil } from '../fleet.js';
import { runPhases } from '../phases.js';
import type { Scenario } from '../scenario.js';
import { startStack } from '../stack.js';

const BACK_WITHIN_MS = 10_000;
const POLL_MS = 100;

export const fullRedis: Scenario = {
  number: 18,
  name: 'full-redis',
  title: 'Redis at maxmemory: batches are accepted and applied directly',
  backends: ['redis'],
  options: { durationMs: 40_000, devices: 10, operations: 2_000, apis: 1, workers: 2, rounds: 0 },
  short: { durationMs: 15_000, operations: 500 },
  async run(context) {
    const stack = await startStack(context, context.options);
    const admin = new Redis(stack.redis?.url ?? '');
    const client = createClient(10_000);
    const readHealth = async () => (await client.send('GET', `${stack.apis()[0]?.url}/health`)).body;
    const findings: string[] = [];
    await runPhases(context, {
      stack,
      async faults(run) {
        await admin.config('SET', 'maxmemory', '1mb');
        context.countFault('Redis at maxmemory');
        await pauseUntil(run.until, context.signal);
        const { status, queue } = await readHealth();
        if (status !== 'degraded') findings.push(`/health says ${status}, queue ${queue}, of a full Redis`);
        await admin.config('SET', 'maxmemory', '0');
        const healedAt = performance.now();
        while ((await readHealth()).status !== 'ok' && performance.now() - healedAt < 3 * BACK_WITHIN_MS)
          await sleep(POLL_MS);
        const backMs = Math.round(performance.now() - healedAt);
        context.measures.notes['queue back after ms'] = backMs;
        if (backMs > BACK_WITHIN_MS) findings.push(`/health was ok ${backMs} ms after Redis had room`);
      },
      check: (run) => {
        const refused = run.fleet.answers.filter(({ status }) => status >= 500);
        if (refused.length > 0) findings.push(`${refused.length} requests were answered with 5xx`);
        return findings;
      },
    });
    client.close();
    admin.disconnect();
    await stack.stopServers();
  },
};
