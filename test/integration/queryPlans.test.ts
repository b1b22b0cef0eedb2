// Every query of the hot path finds its rows by an index, also among 100,000 tasks and 100,000 logged operations of one workspace (I8). The
// product's own functions run; each of their statements is explained just before.
import { expect } from 'chai';
import { v7 as newUuid } from 'uuid';
import { acceptBatches, packBatch } from '../../src/storage/acceptBatch.js';
import { applyPending } from '../../src/storage/applyPending.js';
import { deleteStartMark, readStartMark, writeStartMark } from '../../src/storage/applyStarts.js';
import { retryFailed } from '../../src/storage/changeFailed.js';
import { deleteStubs, stubTombstones } from '../../src/storage/compactTasks.js';
import { findStalled } from '../../src/storage/findStalled.js';
import { findUnsettled } from '../../src/storage/findUnsettled.js';
import { readParts } from '../../src/storage/finishBatches.js';
import { readLongTasks } from '../../src/storage/longTasks.js';
import type { QueueStatus } from '../../src/storage/models/syncQueueItem.js';
import { pruneBatches, pruneOperations } from '../../src/storage/pruneLog.js';
import { countPending, readBacklog } from '../../src/storage/readBacklog.js';
import { findBatch, readOperationsById } from '../../src/storage/readBatch.js';
import { readChanges, readFeedHead } from '../../src/storage/readChanges.js';
import { readOutcomes } from '../../src/storage/readOutcomes.js';
import { readPage } from '../../src/storage/readPage.js';
import { countQueue, listQueue, requeue } from '../../src/storage/readQueue.js';
import { findTask, listTasks, TASK_SORTS } from '../../src/storage/readTasks.js';
import { recordAttempt, recordFailure } from '../../src/storage/recordFailure.js';
import { writeTask } from '../../src/storage/writeTask.js';
import { expectIndexed as expectIndexedOn } from '../support/plans.js';
import { type System, startSystem } from '../support/system.js';

const COUNT = 100_000;
const PENDING = 30;
const FAILED = 20;
const NOW = '2027-03-01T12:00:00.000000Z';
const LATER = '2027-03-01T13:00:00.000000Z';
const WORKSPACE = 'default';
const FIFTY = Array.from({ length: 50 }, (_, n) => n * 1_900 + 1);
const queuePage = (status: QueueStatus, afterId: number) => ({
  workspaceId: WORKSPACE,
  status,
  afterId,
  limit: 100,
  maxBytes: 1_000_000,
});
const uuidOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

const FILL = [
  `INSERT INTO tasks (workspace_id, id, server_id, title, description, completed, deleted, created_at, updated_at, updated_by, op_id,
     seq, last_synced_at)
   SELECT '${WORKSPACE}', 'task-' || n, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'Title ' || n, NULL, n % 2 = 0,
     n % 10 = 0, '${NOW}'::timestamptz - n * interval '1 second', '${NOW}'::timestamptz - n * interval '1 millisecond', 'phone',
     'op-' || n, n, '${NOW}'
   FROM generate_series(1, ${COUNT}) n`,
  `INSERT INTO sync_queue (workspace_id, id, batch_id, position, client_id, op_id, content_hash, task_id, operation, task_data,
     updated_at, status, outcome, seq, error, max_retries, created_at, last_attempted_at)
   SELECT '${WORKSPACE}', nextval('sync_queue_id_seq'), ('00000000-0000-4000-8000-' || lpad((n / 50)::text, 12, '0'))::uuid, n % 50,
     'phone', 'op-' || n, 'hash', 'task-' || n, 'update', '{"title": "a"}', '${NOW}', s.status,
     CASE WHEN s.status = 'synced' THEN 'success' END, n, CASE WHEN s.status = 'failed' THEN 'why' END, 3, '${NOW}', '${NOW}'
   FROM generate_series(1, ${COUNT}) n, LATERAL (SELECT CASE WHEN n > ${COUNT - PENDING} THEN 'pending'
     WHEN n % ${COUNT / FAILED} = 0 THEN 'failed' ELSE 'synced' END AS status) s`,
  `INSERT INTO sync_batches (workspace_id, id, total, entries, first_operation_id, last_operation_id, created_at, finished_at)
   SELECT '${WORKSPACE}', ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 50, '[]', n * 50, n * 50 + 49, '${NOW}',
     CASE WHEN n < 1999 THEN '${NOW}'::timestamptz END
   FROM generate_series(0, 2000) n`,
  `UPDATE workspaces SET seq = ${COUNT}, synced = ${COUNT} WHERE id = '${WORKSPACE}'`,
];

/** What nearly all tasks are, and the filter that leaves these out. */
const SKEWED = [
  ['completed', { completed: true, deleted: false }, { completed: false }],
  ['open', { completed: false, deleted: false }, { completed: true }],
  ['deleted', { completed: false, deleted: true }, {}],
  ['deleted and completed', { completed: true, deleted: true }, { completed: false, includeDeleted: true }],
] as const;
const SKEWED_COUNT = 20_000;

describe('query plans of lists that leave nearly every task out', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0, env: { DATABASE_STATEMENT_TIMEOUT_MS: '60000' } });
  });
  after(() => system.stop());

  for (const [what, { completed, deleted }, filter] of SKEWED) {
    it(`because it is ${what}`, async () => {
      const { database } = system;
      await database.sequelize.query('TRUNCATE tasks');
      // Five are live and of the other kind; of the deleted ones every 100th is a stub, which no list shows.
      await database.sequelize.query(
        `INSERT INTO tasks (workspace_id, id, server_id, title, completed, deleted, stub, created_at, updated_at, updated_by, op_id,
           seq, last_synced_at)
         SELECT '${WORKSPACE}', 'task-' || n, gen_random_uuid(), 'T', ${completed} <> (n % ${SKEWED_COUNT / 5} = 7),
           ${deleted} AND n % ${SKEWED_COUNT / 5} <> 7, ${deleted} AND n % 100 = 3, '${NOW}'::timestamptz - n * interval '1 second',
           '${NOW}'::timestamptz - n * interval '1 millisecond', 'phone', 'op-' || n, n, '${NOW}'
         FROM generate_series(1, ${SKEWED_COUNT}) n`,
      );
      await database.sequelize.query('VACUUM ANALYZE tasks');
      for (const sort of TASK_SORTS) {
        const request = {
          workspaceId: WORKSPACE,
          sort,
          limit: 100,
          maxBytes: 1_000_000,
          includeDeleted: false,
          ...filter,
        };
        const list = async () => expect((await listTasks(database, request)).rows).to.have.lengthOf(5);
        // Each of five, and its look at the log.
        await expectIndexedOn(list, 50);
      }
    });
  }
});

describe('query plans', () => {
  let system: System;

  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0, env: { DATABASE_STATEMENT_TIMEOUT_MS: '60000' } });
    for (const statement of FILL) await system.database.sequelize.query(statement);
    await system.database.sequelize.query('VACUUM ANALYZE');
  });
  after(() => system.stop());

  const expectIndexed = (work: () => Promise<unknown>, mostRows: number) => expectIndexedOn(work, mostRows);

  for (const sort of TASK_SORTS) {
    const request = { workspaceId: WORKSPACE, sort, limit: 100, maxBytes: 1_000_000, includeDeleted: false };
    it(`lists tasks by ${sort}`, () => expectIndexed(() => listTasks(system.database, request), 1_000));

    it(`lists tasks by ${sort} from the middle`, () => {
      const after = { sortValue: '2027-03-01T11:59:10.000000Z', id: 'task-50000' };
      return expectIndexed(() => listTasks(system.database, { ...request, after }), 1_000);
    });

    it(`lists tasks by ${sort}, filtered by completed`, () =>
      expectIndexed(() => listTasks(system.database, { ...request, completed: true, includeDeleted: true }), 1_000));
  }

  it('lists the tasks updated since a moment ago, by that time', () => {
    const recent = {
      updatedSince: '2027-03-01T11:59:59.900000Z',
      includeDeleted: true,
      limit: 100,
      maxBytes: 1_000_000,
    };
    return expectIndexed(
      () => listTasks(system.database, { workspaceId: WORKSPACE, sort: 'updated_at', ...recent }),
      1_000,
    );
  });

  it('finds a task by its id, its server id, or not', async () => {
    await expectIndexed(() => findTask(system.database, WORKSPACE, 'task-777'), 10);
    await expectIndexed(() => findTask(system.database, WORKSPACE, uuidOf(778)), 10);
    await expectIndexed(() => findTask(system.database, WORKSPACE, uuidOf(COUNT * 2)), 10);
  });

  it('reads fifty operations by their keys', async () => {
    const keys = FIFTY.map((n) => ({ clientId: 'phone', opId: `op-${n}` }));
    await expectIndexed(async () => {
      const { operations, tasks } = await readOutcomes(system.database, WORKSPACE, { keys, maxBytes: 1 });
      expect([operations.size, tasks.size]).to.deep.equal([50, 50]);
    }, 700);
  });

  it('reads a thousand operations by their keys', async () => {
    const keys = Array.from({ length: 1_000 }, (_, n) => ({ clientId: 'phone', opId: `op-${n * 90 + 1}` }));
    await expectIndexed(() => readOutcomes(system.database, WORKSPACE, { keys, maxBytes: 1 }), 4_000);
  });

  it('reads fifty operations by their ids, and fifty tasks', async () => {
    await expectIndexed(() => readOperationsById(system.database, WORKSPACE, FIFTY), 200);
    const taskIds = FIFTY.map((n) => `task-${n}`);
    await expectIndexed(() => readOutcomes(system.database, WORKSPACE, { keys: [], taskIds, maxBytes: 1 }), 500);
  });

  it('reads long tasks apart, as many as fit', async () => {
    const taskIds = FIFTY.map((n) => `task-${n}`);
    const long = new Map(taskIds.map((id) => [id, { bytes: 10_000, serverId: '', seq: 1 }]));
    await expectIndexed(async () => {
      expect(await readLongTasks(system.database, WORKSPACE, long, taskIds, 305_000)).to.have.length(30);
    }, 300);
  });

  it('reads the change feed from its beginning, its middle and its end', async () => {
    // A page is looked at in several steps, of which the first reads.
    for (const seq of [0, COUNT / 2, COUNT - 3]) {
      await expectIndexed(
        () => readChanges(system.database, WORKSPACE, { seq, liveUntil: 0 }, { limit: 500, maxBytes: 1_000_000 }),
        2_100,
      );
      const start = { seq, liveUntil: 0, bucket: undefined };
      await expectIndexed(
        () => readPage(system.database, WORKSPACE, start, { limit: 500, maxBytes: 1_000_000, separator: ',' }),
        3_100,
      );
    }
    // It also looks through the server's list of databases, of which other tests make some.
    await expectIndexed(() => readFeedHead(system.database, WORKSPACE), 500);
  });

  it('finds a batch', () => expectIndexed(() => findBatch(system.database, WORKSPACE, uuidOf(1_000)), 10));

  it('counts the queue by what is unsettled', () =>
    expectIndexed(() => countQueue(system.database, WORKSPACE), 2 * (PENDING + FAILED)));

  it('counts what waits in the whole database by what is unsettled', async () => {
    const { database } = system;
    await expectIndexed(async () => {
      const { total, byWorkspace } = await countPending(database, 1_000, 10);
      expect([total, [...byWorkspace]]).to.deep.equal([PENDING, [[WORKSPACE, PENDING]]]);
    }, 2 * PENDING);
    await expectIndexed(
      async () => {
        // One of those that were made to fail is among the pending ones.
        const backlog = { pending: PENDING, failed: FAILED - 1, oldestPendingAt: NOW };
        expect(await readBacklog(database, 1_000)).to.deep.equal(backlog);
      },
      2 * (PENDING + FAILED),
    );
  });

  it('finds stalled workspaces', () => expectIndexed(() => findStalled(system.database, NOW, LATER, 100), 20));

  for (const status of ['pending', 'failed', 'synced'] as const) {
    it(`lists ${status} items, from the beginning and from the middle`, async () => {
      await expectIndexed(() => listQueue(system.database, queuePage(status, 0)), 500);
      await expectIndexed(() => listQueue(system.database, queuePage(status, COUNT / 2)), 500);
    });
  }

  it('accepts a batch', () =>
    expectIndexed(() => {
      const operations = FIFTY.map((n, position) => ({
        position,
        clientId: 'laptop',
        opId: `new-${n}`,
        contentHash: 'hash',
        taskId: `task-${n}`,
        kind: 'update' as const,
        data: { title: 'new' },
        updatedAt: NOW,
      }));
      const entries = operations.map(({ clientId, opId, contentHash }) => ({ clientId, opId, contentHash }));
      const batch = {
        workspaceId: WORKSPACE,
        batchId: newUuid(),
        entries,
        clock: null,
        operations,
        maxRetries: 3,
        now: NOW,
      };
      return acceptBatches(system.database, WORKSPACE, [packBatch(batch)]);
    }, 500));

  it('applies what is pending, records failures, finishes batches and requeues', async () => {
    const { database } = system;
    const last = { workspaceId: WORKSPACE, operationId: COUNT, error: 'why', isPermanent: false, now: NOW };
    await expectIndexed(() => recordAttempt(database, WORKSPACE, [COUNT - 1, COUNT], NOW), 10);
    await expectIndexed(() => recordFailure(database, { ...last, nextAttemptAt: () => NOW }), 10);
    await expectIndexed(async () => {
      const parts = [{ batchId: uuidOf(1_999), firstId: COUNT - 50, lastId: COUNT }];
      const apply = { workspaceId: WORKSPACE, upTo: COUNT * 2, limit: 10, parts, now: () => NOW, newServerId: newUuid };
      const { settled, hasUnsettled } = await applyPending(database, apply);
      expect({ settled, hasUnsettled }).to.deep.equal({ settled: 10, hasUnsettled: true });
      const batches = new Map([1_998, 1_999, 2_000].map((n) => [uuidOf(n), { replyTo: 'me', count: 10 }]));
      const { told } = await applyPending(database, { ...apply, waiting: { batches, max: 10 } });
      expect(told.get('me')?.tasks).to.have.length(10);
    }, 600);
    const parts = [{ batchId: uuidOf(1_999), firstId: COUNT - 50, lastId: COUNT }];
    await expectIndexed(async () => expect(await readParts(database, WORKSPACE, parts, NOW)).to.have.length(1), 200);
    const ranges = FIFTY.map((firstId) => ({
      key: String(firstId),
      workspaceId: WORKSPACE,
      batchId: uuidOf(Math.floor(firstId / 50)),
      firstId,
      lastId: firstId + 49,
    }));
    await expectIndexed(() => findUnsettled(database, ranges), 400);
    await expectIndexed(() => requeue(database, WORKSPACE, 1_000), 500);
  });

  it('goes on with a backlog of 20,000 operations', async () => {
    const { database } = system;
    await database.sequelize.query("UPDATE sync_queue SET status = 'pending', outcome = NULL WHERE id % 5 = 1");
    await database.sequelize.query('ANALYZE sync_queue');
    const parts = [{ batchId: uuidOf(40), firstId: 2_000, lastId: 2_049 }];
    const apply = { workspaceId: WORKSPACE, upTo: COUNT * 2, limit: 500, parts, now: () => NOW, newServerId: newUuid };
    await expectIndexed(() => applyPending(database, apply), 4_000);
    await expectIndexed(() => findStalled(database, NOW, LATER, 100), 20);
    await expectIndexed(() => countPending(database, 5_000, 10), 5_100);
    await expectIndexed(() => readBacklog(database, 5_000), 5_200);
    await expectIndexed(() => listQueue(database, queuePage('pending', COUNT / 2)), 500);
    await expectIndexed(() => listQueue(database, queuePage('failed', 0)), 500);
    await expectIndexed(() => listQueue(database, queuePage('synced', COUNT / 2)), 500);
    const keys = FIFTY.map((n) => ({ clientId: 'phone', opId: `op-${n}` }));
    await expectIndexed(() => readOutcomes(database, WORKSPACE, { keys, maxBytes: 1 }), 700);
    const taskIds = FIFTY.map((n) => `task-${n}`);
    await expectIndexed(() => readOutcomes(database, WORKSPACE, { keys: [], taskIds, maxBytes: 1 }), 500);
    await expectIndexed(() => findTask(database, WORKSPACE, 'task-771'), 10);
    const list = {
      workspaceId: WORKSPACE,
      sort: '-updated_at' as const,
      limit: 100,
      maxBytes: 1_000_000,
      includeDeleted: false,
    };
    await expectIndexed(() => listTasks(database, list), 1_000);
  });

  it('says of fifty tasks that operations wait, two thousand on some of them', async () => {
    const { database } = system;
    await database.sequelize.query("UPDATE sync_queue SET task_id = 'task-' || (id % 50 + 1) WHERE status = 'pending'");
    await database.sequelize.query('VACUUM ANALYZE sync_queue');
    const ids = Array.from({ length: 50 }, (_, n) => `task-${n + 1}`);
    await expectIndexed(async () => {
      const { tasks } = await readOutcomes(database, WORKSPACE, { keys: [], taskIds: ids, maxBytes: 1 });
      expect([...tasks.values()].filter(({ syncStatus }) => syncStatus === 'pending')).to.have.length(50);
    }, 500);
  });

  it('goes past 50,000 operations behind a put-off one with one look each, and past none when it is due', async () => {
    const { database } = system;
    const later = '2027-03-01T12:00:20.000000Z';
    await database.sequelize.query(
      `UPDATE sync_queue SET status = CASE WHEN id <= 50000 OR id > ${COUNT - 10} THEN 'pending' ELSE 'synced' END,
         task_id = CASE WHEN id <= 50000 THEN 'task-1' ELSE 'task-' || id END,
         next_attempt_at = CASE WHEN id = 1 THEN '${later}'::timestamptz END`,
    );
    await database.sequelize.query('VACUUM ANALYZE sync_queue');
    const apply = { workspaceId: WORKSPACE, upTo: COUNT, limit: 10, newServerId: newUuid };
    const parts = [{ batchId: uuidOf(999), firstId: 49_950, lastId: 49_999 }];
    await expectIndexed(async () => {
      const [part] = await readParts(database, WORKSPACE, parts, NOW);
      expect(part).to.include({ pending: 50, nextAttemptAt: later });
    }, 250);
    await expectIndexed(async () => {
      const { settled, lastId } = await applyPending(database, { ...apply, now: () => NOW });
      expect({ settled, lastId }).to.deep.equal({ settled: 10, lastId: COUNT });
    }, 51_000);
    await expectIndexed(() => applyPending(database, { ...apply, now: () => later }), 200);
    expect((await applyPending(database, { ...apply, now: () => later })).settled).to.equal(10);
  });

  it('finds the failed create among 50,000 failed operations on its task', async () => {
    const { database } = system;
    await database.sequelize.query(
      `UPDATE sync_queue SET status = CASE WHEN id <= 50000 THEN 'failed' WHEN id > ${COUNT - 10} THEN 'pending' ELSE 'synced' END,
         operation = CASE WHEN id = 1 THEN 'create' ELSE 'update' END, next_attempt_at = NULL,
         task_id = CASE WHEN id <= 50000 OR id > ${COUNT - 10} THEN 'task-away' ELSE 'task-' || id END`,
    );
    await database.sequelize.query('VACUUM ANALYZE sync_queue');
    const apply = { workspaceId: WORKSPACE, upTo: COUNT, limit: 10, now: () => NOW, newServerId: newUuid };
    await expectIndexed(async () => expect((await applyPending(database, apply)).dependents).to.equal(10), 250);
    await expectIndexed(async () => {
      const changed = await retryFailed(database, WORKSPACE, 1);
      expect(changed?.released).to.have.length(10);
    }, 20);
    await database.sequelize.query("UPDATE sync_queue SET status = 'synced', outcome = 'success'");
    await database.sequelize.query('VACUUM ANALYZE sync_queue');
  });

  it('looks back two hundred operations for what a client sent before, and only where the task is not older', async () => {
    const { database } = system;
    const apply = { workspaceId: WORKSPACE, upTo: COUNT, limit: 10, now: () => NOW, newServerId: newUuid };
    for (const [time, mostRows] of [
      ["'2027-03-01T11:00:00Z'", 5_000],
      [`'${NOW}'::timestamptz + interval '1 hour'`, 100],
    ] as const) {
      await database.sequelize.query(
        `UPDATE sync_queue SET status = CASE WHEN id > ${COUNT - 10} THEN 'pending' ELSE 'synced' END, outcome = 'success', seq = NULL,
           operation = 'update', updated_at = ${time}, next_attempt_at = NULL, task_id = 'task-' || (CASE WHEN id > 50000 THEN 901 ELSE id END)`,
      );
      await database.sequelize.query('VACUUM ANALYZE sync_queue');
      await expectIndexed(async () => expect((await applyPending(database, apply)).settled).to.equal(10), mostRows);
    }
  });

  it('marks the start of an attempt', async () => {
    const { database } = system;
    const others = `INSERT INTO apply_starts (workspace_id, last_id) SELECT 'w' || n, n FROM generate_series(1, 10000) AS n`;
    await database.sequelize.query(others);
    await database.sequelize.query('ANALYZE apply_starts');
    await expectIndexed(() => writeStartMark(database, WORKSPACE, { lastId: 2, aloneId: null, aloneStarts: 0 }), 10);
    await expectIndexed(() => readStartMark(database, WORKSPACE), 10);
    await expectIndexed(() => deleteStartMark(database, WORKSPACE), 10);
    expect(await readStartMark(database, WORKSPACE)).to.equal(undefined);
  });

  it('writes a task directly', () =>
    expectIndexed(
      () =>
        writeTask(system.database, {
          workspaceId: WORKSPACE,
          kind: 'update',
          taskId: 'task-777',
          data: { title: 'direct' },
          allows: () => true,
          opId: newUuid(),
          now: () => NOW,
          newServerId: newUuid,
        }),
      // With the server's list of databases, as above.
      500,
    ));

  it('compacts: stubs, their end, the log and its batches', async () => {
    const chunk = { workspaceId: WORKSPACE, before: '2027-03-02T00:00:00.000000Z', limit: 1_000 };
    const nothing = { ...chunk, before: '2000-01-01T00:00:00.000000Z' };
    const { database } = system;
    await expectIndexed(async () => expect(await stubTombstones(database, nothing)).to.equal(0), 10);
    await expectIndexed(async () => expect(await stubTombstones(database, chunk)).to.equal(1_000), 10);
    await expectIndexed(async () => expect(await deleteStubs(database, chunk)).to.equal(1_000), 10);
    await expectIndexed(async () => expect(await pruneBatches(database, chunk)).to.equal(1_000), 10);
    await expectIndexed(async () => expect((await pruneOperations(database, chunk, 0)).deleted).to.equal(1_000), 10);
  });
});
