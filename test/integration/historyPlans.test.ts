// The operation log is read by its indexes, also where it holds 100,000 operations of one task, most of them lost (I8).
import { expect } from 'chai';
import { v7 as newUuid } from 'uuid';
import { discardFailed, retryFailed } from '../../src/storage/changeFailed.js';
import { findOperation, listHistory } from '../../src/storage/readHistory.js';
import { expectIndexed as expectIndexedOn } from '../support/plans.js';
import { type System, startSystem } from '../support/system.js';

const COUNT = 100_000;
const NOW = '2027-03-01T12:00:00.000000Z';
const WORKSPACE = 'default';
const BATCH = newUuid();
/** Half of the operations are on one task, and every second one lost to the one before it; half of these a field to the one before that. */
const FILL = [
  `CREATE FUNCTION version(n int) RETURNS jsonb LANGUAGE sql AS $$
     SELECT jsonb_build_object('clientId', 'phone', 'opId', 'op-' || n, 'updatedAt', '${NOW}') $$`,
  `INSERT INTO sync_queue (workspace_id, id, batch_id, position, client_id, op_id, content_hash, task_id, operation, task_data,
     updated_at, status, outcome, error, max_retries, created_at, last_attempted_at, lost_to_client_id, lost_to_op_id, lost_to_updated_at,
     field_winners)
   SELECT '${WORKSPACE}', nextval('sync_queue_id_seq'), '${BATCH}', n % 50, 'phone', 'op-' || n, 'hash',
     CASE WHEN n <= ${COUNT} THEN 'busy' ELSE 'task-' || n END, 'update', '{"title": "a"}', '${NOW}',
     CASE WHEN n > 2 * ${COUNT} - 20 THEN 'failed' ELSE 'synced' END, CASE WHEN n % 2 = 0 THEN 'conflict' ELSE 'success' END, NULL, 3,
     '${NOW}', '${NOW}', CASE WHEN n % 2 = 0 THEN 'phone' END, CASE WHEN n % 2 = 0 THEN 'op-' || n - 1 END,
     CASE WHEN n % 2 = 0 THEN '${NOW}'::timestamptz END,
     CASE WHEN n % 4 = 0 THEN jsonb_build_object('title', version(n - 1), 'completed', version(n - 2)) END
   FROM generate_series(1, 2 * ${COUNT}) n`,
  `INSERT INTO tasks (workspace_id, id, server_id, title, completed, deleted, created_at, updated_at, updated_by, op_id, seq, last_synced_at)
   SELECT '${WORKSPACE}', 'task-' || n, gen_random_uuid(), 'T', false, false, '${NOW}', '${NOW}', 'phone', 'op-' || n, n, '${NOW}'
   FROM generate_series(1, ${COUNT}) n`,
  `INSERT INTO sync_batches (workspace_id, id, total, entries, clock, created_at)
   SELECT '${WORKSPACE}', CASE WHEN n = 1 THEN '${BATCH}' ELSE gen_random_uuid() END, 50, '[]', '{"skewMs": 5}', '${NOW}'
   FROM generate_series(1, 2000) n`,
];

const busy = (beforeId: number, limit: number) => ({
  workspaceId: WORKSPACE,
  taskId: 'busy',
  beforeId,
  limit,
  maxBytes: 1_000_000,
});

describe('query plans of the operation log', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0, env: { DATABASE_STATEMENT_TIMEOUT_MS: '60000' } });
    for (const statement of FILL) await system.database.sequelize.query(statement);
    await system.database.sequelize.query('VACUUM ANALYZE');
  });
  after(() => system.stop());

  const expectIndexed = (work: () => Promise<unknown>, mostRows: number) => expectIndexedOn(work, mostRows);

  it('a page of a long history, from its newest end and from the middle', async () => {
    const { database } = system;
    for (const before of [Number.MAX_SAFE_INTEGER, COUNT / 2]) {
      await expectIndexed(async () => {
        const { rows, hasMore } = await listHistory(database, busy(before, 100));
        expect(rows).to.have.lengthOf(100);
        expect(hasMore).to.equal(true);
        expect(rows.filter((entry) => entry.lostTo?.written).length).to.be.within(50, 51);
        const twice = rows.filter(({ lostToByField: by }) => by?.title?.written && by.completed?.written);
        expect(twice.length).to.be.within(25, 26);
        // The page is looked at in three steps, of which the first reads.
      }, 420);
      await expectIndexed(() => listHistory(database, busy(before, 1_000)), 4_200);
    }
  });

  it('a short history, and one of an id that nothing had', async () => {
    await expectIndexed(
      () => listHistory(system.database, { ...busy(COUNT * 3, 1_000), taskId: `task-${COUNT + 2}` }),
      10,
    );
    await expectIndexed(() => listHistory(system.database, { ...busy(COUNT * 3, 1_000), taskId: 'unknown' }), 10);
  });

  it('one operation with its winner, batch and task', () =>
    expectIndexed(async () => {
      const operation = await findOperation(system.database, WORKSPACE, 200);
      expect(operation).to.deep.include({ skewMs: 5, taskTitle: null });
      expect(operation?.lostTo?.written).to.deep.equal({ kind: 'update', data: { title: 'a' } });
    }, 10));

  it('a failed operation that is retried, and one that is discarded', async () => {
    const { database } = system;
    await expectIndexed(async () => {
      expect((await retryFailed(database, WORKSPACE, 2 * COUNT))?.item).to.include({ status: 'failed' });
    }, 10);
    await expectIndexed(async () => {
      expect((await discardFailed(database, WORKSPACE, 2 * COUNT - 1))?.item).to.include({ status: 'failed' });
    }, 10);
    expect(await findOperation(database, WORKSPACE, 2 * COUNT)).to.include({ status: 'pending' });
    expect(await findOperation(database, WORKSPACE, 2 * COUNT - 1)).to.equal(undefined);
  });
});
