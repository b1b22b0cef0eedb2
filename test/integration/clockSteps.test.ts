// The clock of an installation is its database's: processes whose own clock is days off do as the others, nothing is removed because a clock
// leapt, and nothing waits because one was set back.
import { expect } from 'chai';
import { startDatabaseClock } from '../../src/databaseClock.js';
import { createLogger } from '../../src/logger.js';
import { createShutdown } from '../../src/shutdown.js';
import { advanceCompactionClock } from '../../src/storage/compactionClock.js';
import { resetAttempts } from '../../src/storage/resetAttempts.js';
import { fromMicros } from '../../src/sync/timestamp.js';
import { compactInSteps } from '../../workers/compactInSteps.js';
import { DAY_MS } from '../support/compaction.js';
import { metricValue, scrape } from '../support/metrics.js';
import { createItem, deleteItem, newId } from '../support/operations.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const HOUR_MS = 3_600_000;
const logger = createLogger({ level: 'error', process: 'test' });
const realNow = Date.now;

/** This process's clock, api and worker of the test included, is off by so much from now on. */
function stepClock(byMs: number) {
  Date.now = () => realNow() + byMs;
}

describe('clocks that are set', () => {
  let system: System;
  before(async () => {
    const env = {
      COMPACTION_INTERVAL_MS: '200',
      TOMBSTONE_RETENTION_DAYS: '1',
      OPLOG_RETENTION_DAYS: '1',
      RECONCILE_AFTER_MS: '200',
      RECONCILE_INTERVAL_MS: '50',
    };
    system = await withQueue(startSystem(import.meta.url, { env }));
  });
  afterEach(() => {
    Date.now = realNow;
  });
  after(() => system.stop());

  const countLog = async () => {
    const [row] = await system.database.select<{ rows: number }>(
      'SELECT (SELECT count(*) FROM sync_queue) + (SELECT count(*) FROM sync_batches) + (SELECT count(*) FROM tasks WHERE NOT stub) AS rows',
      [],
    );
    return row?.rows ?? 0;
  };

  for (const [what, byMs] of [
    ['100 days ahead', 100 * DAY_MS],
    ['100 days behind', -100 * DAY_MS],
  ] as const) {
    it(`of api and worker ${what}: operations have the database's time, and nothing is removed`, async () => {
      const before = realNow();
      stepClock(byMs);
      const id = newId('task');
      const { body } = await system.push([createItem(id)], {}, { prefer: 'wait=20' });
      const { updated_at, last_synced_at } = body.processed_items[0].resolved_data;
      for (const time of [updated_at, last_synced_at]) {
        expect(Date.parse(time)).to.be.within(before - 2_000, realNow() + 2_000);
      }
      await system.push([deleteItem(id)], {}, { prefer: 'wait=20' });
      const rows = await countLog();
      const shutdown = createShutdown(logger, 1_000);
      const clock = await startDatabaseClock(system.database, logger, shutdown);
      expect(clock.skewMs()).to.be.closeTo(byMs, 2_000);
      await compactInSteps(
        compactionOf(system, () => BigInt(Math.trunc(clock.nowMs())) * 1_000n),
        HOUR_MS,
      );
      expect(await countLog()).to.equal(rows);
      await shutdown.run('the test has read it');
      await eventually(async () => {
        const skew = metricValue(await scrape(system.url), 'task_sync_clock_skew_seconds') ?? 0;
        return Math.abs(skew - byMs / 1_000) < 2;
      });
    });
  }

  it('ahead by 100 days on the database as well: compaction takes a day an hour, not all at once', async () => {
    const start = BigInt(realNow()) * 1_000n;
    await system.database.select('UPDATE compaction_clock SET reached = $1::timestamptz', [fromMicros(start)]);
    const rows = await countLog();
    const leapt = start + 100n * BigInt(DAY_MS) * 1_000n;
    const run = (nowMicros: bigint, days: number) =>
      compactInSteps({ ...compactionOf(system, () => nowMicros), tombstoneDays: days, logDays: days }, HOUR_MS);
    // Its own retention is 90 days; each run comes a day nearer.
    for (let hour = 0; hour < 3; hour += 1) await run(leapt + BigInt(hour * HOUR_MS) * 1_000n, 90);
    expect(await countLog()).to.equal(rows);
    expect(await advanceCompactionClock(system.database, fromMicros(leapt), 0)).to.equal(
      fromMicros(start + 3n * BigInt(DAY_MS) * 1_000n),
    );
    // Set right again, it is as it was.
    expect(await advanceCompactionClock(system.database, fromMicros(start), DAY_MS)).to.equal(fromMicros(start));
  });

  it('back by an hour on the database: what lost its job, or waits for an attempt, does not wait for the hour', async () => {
    const ahead = fromMicros(BigInt(realNow() + HOUR_MS) * 1_000n);
    // As if they were accepted and put off when the clock was an hour ahead; their jobs are lost.
    const insert = (taskId: string, nextAttemptAt: string | null) =>
      system.database.select(
        `INSERT INTO sync_queue (workspace_id, client_id, op_id, content_hash, task_id, operation, task_data, updated_at, max_retries, created_at, status, next_attempt_at)
         VALUES ('default', 'c', $1, '', $1, 'create', '{"title": "kept"}', $2::timestamptz, 3, $2::timestamptz, 'pending', $3::timestamptz) RETURNING id`,
        [taskId, ahead, nextAttemptAt],
      );
    const [lost, putOff] = [newId('lost'), newId('put-off')];
    await insert(lost, null);
    await insert(putOff, ahead);
    await eventually(async () => {
      const answers = await Promise.all([lost, putOff].map((id) => system.request('GET', `/api/tasks/${id}`)));
      return answers.every(({ status }) => status === 200);
    });
  });

  it('put off no longer than an attempt may be: only what lies further ahead is made due', async () => {
    const near = fromMicros(BigInt(realNow() + 30_000) * 1_000n);
    await system.database.select(
      `INSERT INTO sync_queue (workspace_id, client_id, op_id, content_hash, task_id, operation, task_data, updated_at, max_retries, created_at, status, next_attempt_at)
       VALUES ('nobody', 'c', 'near', '', 'near', 'create', '{}', now(), 3, now(), 'pending', $1::timestamptz) RETURNING id`,
      [near],
    );
    await resetAttempts(system.database, 'nobody', fromMicros(BigInt(realNow() + 60_000) * 1_000n));
    const [row] = await system.database.select<{ at: string | null }>(
      "SELECT next_attempt_at AS at FROM sync_queue WHERE workspace_id = 'nobody'",
      [],
    );
    expect(row?.at).to.equal(near);
    await system.database.select("DELETE FROM sync_queue WHERE workspace_id = 'nobody' RETURNING id", []);
  });
});

const compactionOf = (system: System, nowMicros: () => bigint) => ({
  database: system.database,
  logger,
  nowMicros,
  tombstoneDays: 1,
  stubDays: 275,
  logDays: 1,
  chunk: 100,
  signal: new AbortController().signal,
});
