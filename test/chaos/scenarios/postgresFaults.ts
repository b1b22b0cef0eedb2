// Scenarios 7 and 8: PostgreSQL goes away, whole or session by session. No false 2xx, no operation failed because of it, and clients are
// told when to come back.
import { Client } from 'pg';
import { pauseUntil } from '../fleet.js';
import { pickOne, type Run, repeatFault, runPhases } from '../phases.js';
import type { Scenario } from '../scenario.js';
import { startStack } from '../stack.js';

export const postgresRestarts: Scenario = {
  number: 7,
  name: 'postgres-restarts',
  title: 'PostgreSQL restarted in immediate mode, 5 times',
  backends: ['redis', 'postgres'],
  options: { durationMs: 60_000, devices: 20, operations: 8_000, apis: 1, workers: 2, rounds: 5 },
  short: { durationMs: 10_000, devices: 8, operations: 600, workers: 1, rounds: 1 },
  shortOn: ['postgres'],
  async run(context) {
    const { rounds } = context.options;
    const stack = await startStack(context, context.options);
    await runPhases(context, {
      stack,
      // It is never ready while the database is away; the point here is what it answers then.
      honoursReadiness: false,
      async faults(run) {
        const startedAt = Date.now();
        const spanMs = run.until - startedAt;
        for (let round = 0; round < rounds; round += 1) {
          await pauseUntil(startedAt + ((round + 0.2 + 0.4 * context.random()) / rounds) * spanMs, context.signal);
          // SIGQUIT: an immediate shutdown, which ends like a crash.
          await stack.postgres.end('SIGQUIT');
          context.countFault('immediate restart');
          await pauseUntil(Date.now() + 1_000 + 2_000 * context.random(), context.signal);
          await stack.postgres.start();
        }
      },
      check: (run) => checkRefusals(run, context.measures.notes),
    });
    await stack.stopServers();
  },
};

/** Whatever could not be served was answered 503 with Retry-After. */
export function checkRefusals({ fleet }: Run, notes: Record<string, string | number>): string[] {
  const refused = fleet.answers.filter(({ status }) => status >= 500);
  notes['answered 503'] = refused.length;
  notes['slowest 503 ms'] = Math.round(Math.max(0, ...refused.map(({ tookMs }) => tookMs)));
  const wrong = refused.filter(({ status, retryAfter }) => status !== 503 || !(Number(retryAfter) > 0));
  return wrong.map(({ status, retryAfter }) => `answered ${status} with Retry-After ${retryAfter}`).slice(0, 3);
}

const EVERY_MS = 60;

export const postgresSessions: Scenario = {
  number: 8,
  name: 'postgres-sessions',
  title: 'pg_terminate_backend on a random session every 60 ms',
  backends: ['redis', 'postgres'],
  options: { durationMs: 60_000, devices: 20, operations: 8_000, apis: 1, workers: 2, rounds: 0 },
  short: { durationMs: 8_000, devices: 8, operations: 600, workers: 1 },
  shortOn: ['postgres'],
  async run(context) {
    const stack = await startStack(context, context.options);
    const admin = new Client({ connectionString: stack.databaseUrl, application_name: 'chaos' });
    await admin.connect();
    try {
      await runPhases(context, {
        stack,
        honoursReadiness: false,
        faults: (run) =>
          repeatFault(context, run, EVERY_MS, async () => {
            const { rows } = await admin.query<{ pid: number }>(
              "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'task-sync%' ORDER BY pid",
            );
            if (rows.length === 0) return;
            await admin.query('SELECT pg_terminate_backend($1)', [pickOne(context.random, rows).pid]);
            context.countFault('session ended');
          }),
        check: (run) => checkRefusals(run, context.measures.notes),
      });
    } finally {
      await admin.end();
    }
    await stack.stopServers();
  },
};
