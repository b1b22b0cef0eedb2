// Scenario 4: Redis loses everything again and again. Jobs are wake-ups: the reconciler makes up for each (I1).
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { queryDatabase } from '../../support/postgres.js';
import { pauseUntil } from '../fleet.js';
import { runPhases } from '../phases.js';
import type { Scenario } from '../scenario.js';
import { startStack } from '../stack.js';

const EVERY_MS = 5_000;
const DISPATCHED_LIMIT_MS = 15_000;
const POLL_MS = 50;

export const flushRedis: Scenario = {
  number: 4,
  name: 'flush-redis',
  title: 'FLUSHALL every 5 s, 12 times, under load',
  backends: ['redis'],
  options: { durationMs: 70_000, devices: 20, operations: 10_000, apis: 1, workers: 2, rounds: 12 },
  short: { durationMs: 9_000, devices: 8, operations: 800, workers: 1, rounds: 2 },
  async run(context) {
    const { rounds, durationMs } = context.options;
    const stack = await startStack(context, context.options);
    const admin = new Redis(stack.redis?.url ?? '');
    try {
      await runPhases(context, {
        stack,
        async faults() {
          const startedAt = Date.now();
          const everyMs = Math.min(EVERY_MS, (durationMs * 0.7) / rounds);
          for (let round = 0; round < rounds; round += 1) {
            await pauseUntil(startedAt + (round + context.random()) * everyMs, context.signal);
            await admin.flushall();
            context.countFault('FLUSHALL');
          }
          const tookMs = await untilDispatched(stack.databaseUrl);
          context.measures.notes['settled after the last flush ms'] = tookMs;
          if (tookMs > DISPATCHED_LIMIT_MS) throw new Error(`settled ${tookMs} ms after the last FLUSHALL`);
        },
      });
    } finally {
      admin.disconnect();
    }
    await stack.stopServers();
  },
};

/** Until what waits now is settled, under load that goes on. @returns how long it took, in ms */
async function untilDispatched(databaseUrl: string): Promise<number> {
  const startedAt = Date.now();
  const [last] = await queryDatabase<{ id: number }>(
    databaseUrl,
    "SELECT max(id)::float8 AS id FROM sync_queue WHERE status = 'pending'",
  );
  for (;;) {
    const waiting = await queryDatabase(
      databaseUrl,
      "SELECT 1 FROM sync_queue WHERE status = 'pending' AND id <= $1 LIMIT 1",
      [last?.id ?? 0],
    );
    const tookMs = Date.now() - startedAt;
    if (waiting.length === 0 || tookMs > 2 * DISPATCHED_LIMIT_MS) return tookMs;
    await sleep(POLL_MS);
  }
}
