// Scenario 11: a worker is stopped in the middle of a transaction, for longer than its lock on the job lives, and then goes on as if nothing
// had happened. Its job was given to another one meanwhile; PostgreSQL fences what the zombie still wants to write (I2).
import { setTimeout as sleep } from 'node:timers/promises';
import { queryDatabase } from '../../support/postgres.js';
import { pauseUntil } from '../fleet.js';
import { pickOne, runPhases } from '../phases.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { type Place, startStack } from '../stack.js';

/** Longer than a job's lock (30 s), and than a session may idle in a transaction (10 s). */
const STOPPED_MS = 35_000;
const TRIES = 200;
const LOOK_AFTER_MS = 40;

export const zombieWorker: Scenario = {
  number: 11,
  name: 'zombie-worker',
  title: "a worker stopped with SIGSTOP beyond its lock's life, then continued",
  backends: ['redis', 'postgres'],
  options: { durationMs: 95_000, devices: 20, operations: 12_000, apis: 1, workers: 2, rounds: 2 },
  async run(context) {
    const stack = await startStack(context, context.options);
    await runPhases(context, {
      stack,
      async faults() {
        for (let round = 0; round < context.options.rounds; round += 1) {
          await pauseUntil(Date.now() + 2_000 * (1 + context.random()), context.signal);
          const worker = pickOne(context.random, stack.workers());
          try {
            const isInside = await stopInTransaction(context, stack.databaseUrl, worker);
            context.countFault(isInside ? 'SIGSTOP in a transaction' : 'SIGSTOP');
            await pauseUntil(Date.now() + STOPPED_MS, context.signal);
          } finally {
            worker.process().signal('SIGCONT');
          }
        }
      },
    });
    await stack.stopServers();
  },
};

/** Stops a worker; tries until it is caught with a transaction open. @returns whether it was */
async function stopInTransaction(context: ScenarioContext, databaseUrl: string, worker: Place): Promise<boolean> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    worker.process().signal('SIGSTOP');
    // What the other worker has open is over by then.
    await sleep(LOOK_AFTER_MS);
    const open = await queryDatabase(
      databaseUrl,
      `SELECT 1 FROM pg_stat_activity WHERE application_name = 'task-sync worker' AND state = 'idle in transaction'
       AND state_change < clock_timestamp() - interval '20 ms'`,
    );
    if (open.length > 0) return true;
    worker.process().signal('SIGCONT');
    await sleep(1 + 20 * context.random());
  }
  worker.process().signal('SIGSTOP');
  return false;
}
