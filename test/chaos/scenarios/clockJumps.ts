// Scenario 30: the clocks of api and worker machines are set forth and back by hours and days, under load. Nobody's time of an edit is moved,
// nothing is removed for its age, nothing waits for a clock (I1, I4, I10).
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toMicros } from '../../../src/sync/timestamp.js';
import { queryDatabase } from '../../support/postgres.js';
import { keyOf } from '../history.js';
import { type Run, runPhases } from '../phases.js';
import type { Scenario } from '../scenario.js';
import { type Place, startStack } from '../stack.js';

const PRELOAD = new URL('../preload/stepClock.js', import.meta.url);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const STEPS_MS = [-100 * DAY_MS, -2 * DAY_MS, -HOUR_MS, -90_000, 0, 90_000, HOUR_MS, 3 * DAY_MS, 100 * DAY_MS];
/** What lies between a device's look at its clock and the acceptance, and what clocks that agree may differ. */
const TOLERANCE_MS = 15_000;

export const clockJumps: Scenario = {
  number: 30,
  name: 'clock-jumps',
  title: 'clocks of apis and workers are set by hours and days, forth and back',
  backends: ['redis', 'postgres'],
  options: { durationMs: 30_000, devices: 16, operations: 5_000, apis: 2, workers: 2, rounds: 0 },
  short: { durationMs: 6_000, devices: 8, operations: 500 },
  async run(context) {
    const clocks = join(context.folder, 'clocks');
    mkdirSync(clocks, { recursive: true });
    const parameters = ['--import', `${PRELOAD.href}?folder=${encodeURIComponent(clocks)}`];
    const startedAtMs = Date.now();
    const stack = await startStack(context, {
      ...context.options,
      env: { COMPACTION_INTERVAL_MS: '500', TOMBSTONE_RETENTION_DAYS: '1', OPLOG_RETENTION_DAYS: '1' },
      apiNodeParameters: parameters,
      workerNodeParameters: parameters,
    });
    const step = (place: Place, byMs: number) => writeFileSync(join(clocks, String(place.process().pid)), String(byMs));
    const pick = <Value>(values: readonly Value[]) => values[Math.floor(context.random() * values.length)];
    await runPhases(context, {
      stack,
      faults: async (run) => {
        while (Date.now() < run.until && !context.signal.aborted) {
          const [place, byMs] = [pick(stack.places), pick(STEPS_MS)];
          if (place === undefined || byMs === undefined) continue;
          step(place, byMs);
          context.countFault(byMs === 0 ? 'clock set right' : byMs > 0 ? 'clock set ahead' : 'clock set back');
          await sleep(200 + context.random() * 800);
        }
      },
      check: (run) => checkTimes(run, startedAtMs),
    });
    await stack.stopServers();
  },
};

interface Row {
  clientId: string;
  opId: string;
  effective: string;
  acceptedAt: string;
}

const time = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const msOf = (text: string) => Number(toMicros(text) / 1_000n);

async function checkTimes({ stack, history }: Run, startedAtMs: number): Promise<string[]> {
  const rows = await queryDatabase<Row>(
    stack.databaseUrl,
    `SELECT client_id AS "clientId", op_id AS "opId", ${time('updated_at')} AS effective, ${time('created_at')} AS "acceptedAt" FROM sync_queue`,
  );
  const kept = new Set(rows.map(({ clientId, opId }) => keyOf(clientId, opId)));
  const gone = [...history.operations.entries()].filter(
    ([key, { acknowledgedAtMs }]) => acknowledgedAtMs !== undefined && !kept.has(key),
  );
  const found = gone.slice(0, 5).map(([key]) => `${key} was acknowledged and is not in the log any more`);
  const isNear = (ms: number) => ms >= startedAtMs - TOLERANCE_MS && ms <= Date.now() + TOLERANCE_MS;
  for (const { clientId, opId, effective, acceptedAt } of rows) {
    const written = history.operations.get(keyOf(clientId, opId))?.item.data.updated_at;
    if (!isNear(msOf(acceptedAt))) found.push(`${opId} was accepted at ${acceptedAt}, by the clock of an api`);
    else if (written !== undefined && Math.abs(msOf(effective) - msOf(written)) > TOLERANCE_MS)
      found.push(`${opId}: written ${written}, effective ${effective}`);
    if (found.length >= 10) break;
  }
  return found;
}
