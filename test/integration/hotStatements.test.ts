// The way of hot statements past Sequelize: its pool, its errors and its limits hold there too, with prepared statements and without; and
// their plans do not depend on statistics.
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { v7 as newUuid } from 'uuid';
import { requireDatabaseUrl } from '../../config/index.js';
import { createAccept } from '../../src/api/accepting.js';
import { waitForDatabase } from '../../src/awaitDatabase.js';
import { resolveDatabaseAddress } from '../../src/databaseAddress.js';
import { createLogger } from '../../src/logger.js';
import { createShutdown } from '../../src/shutdown.js';
import { acceptBatches, type BatchToAccept, packBatch } from '../../src/storage/acceptBatch.js';
import { applyPending } from '../../src/storage/applyPending.js';
import { type Database, type DatabaseOptions, openDatabase } from '../../src/storage/database.js';
import { FINISH, FINISH_AND_TELL } from '../../src/storage/finishBatches.js';
import { READ_PENDING } from '../../src/storage/pendingRows.js';
import { readChanges } from '../../src/storage/readChanges.js';
import { OUTCOMES, readOutcomes } from '../../src/storage/readOutcomes.js';
import { readPage } from '../../src/storage/readPage.js';
import { findTask } from '../../src/storage/readTasks.js';
import { lookup, planned, prepared } from '../../src/storage/statement.js';
import { WRITE_FOLD } from '../../src/storage/writeFold.js';
import { type DirectWrite, writeTask } from '../../src/storage/writeTask.js';
import { classifyFault } from '../../src/sync/retryPolicy.js';
import { createItem, newId } from '../support/operations.js';
import { onStatement } from '../support/statements.js';
import { eventually, type System, startSystem } from '../support/system.js';

const NOW = '2026-06-01T12:00:00.000000Z';
const WORKSPACE = 'default';

const operation = (opId: string, position = 0, taskId: string = opId) => ({
  position,
  clientId: 'c',
  opId,
  contentHash: 'h',
  taskId,
  kind: 'create' as const,
  data: { title: 'T' },
  updatedAt: NOW,
});

function batchOf(operations: ReturnType<typeof operation>[]): BatchToAccept {
  const entries = operations.map(({ clientId, opId, contentHash }) => ({ clientId, opId, contentHash }));
  return { workspaceId: WORKSPACE, batchId: newUuid(), entries, clock: null, operations, maxRetries: 3, now: NOW };
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('it was not rejected'),
    (error: unknown) => error,
  );
}

describe('hot statements', () => {
  let system: System;
  const pools: Database[] = [];

  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
  });
  after(async () => {
    for (const pool of pools) await pool.close();
    await system.stop();
  });

  /** A pool of one connection. */
  async function openPool(settings: Partial<DatabaseOptions> = {}) {
    const address = await resolveDatabaseAddress(requireDatabaseUrl(system.config), 5_000);
    const pool = openDatabase(
      address,
      { ...system.config.database, poolSize: 1, acquireTimeoutMs: 500, ...settings },
      'test',
    );
    pools.push(pool);
    return pool;
  }

  const preparedNames = (pool: Database) =>
    pool.select<{ name: string }>('SELECT name FROM pg_prepared_statements ORDER BY name', []);
  const backend = async (pool: Database) =>
    (await pool.select<{ pid: number }>('SELECT pg_backend_pid() AS pid', []))[0]?.pid;

  it('are prepared once a connection, under names made from their texts', async () => {
    const pool = await openPool();
    const statement = prepared('twice', 'SELECT $1::int * 2 AS double');
    for (let n = 1; n <= 7; n += 1) expect(await pool.run(statement, [n])).to.deep.equal([{ double: n * 2 }]);
    const names = (await preparedNames(pool)).map(({ name }) => name);
    expect(names).to.deep.equal([statement.at(0).name]);
    expect(statement.at(0).name).to.not.equal(prepared('twice', 'SELECT $1::int * 3 AS double').at(0).name);
    await pool.run(planned('SELECT 1 AS one'), []);
    expect(await preparedNames(pool)).to.have.length(1);
  });

  it('that look rows up are prepared in pipelines, anew at each power of ten operations, and from 1,000 on', async () => {
    const pool = await openPool();
    const statement = lookup('looked_up', 'SELECT $1::int AS found');
    for (const [lastId, names] of [
      [999, 0],
      [1_000, 1],
      [9_999, 1],
      [10_000, 2],
      [10_001, 2],
    ] as const) {
      pool.sawOperation(lastId);
      const found = await pool.pipeline((session) => session.run(statement, [lastId]));
      expect(found).to.deep.equal([{ found: lastId }]);
      expect(await preparedNames(pool), `after operation ${lastId}`).to.have.length(names);
    }
    await pool.run(statement, [1]);
    expect(await preparedNames(pool), 'alone').to.have.length(2);
    expect(statement.at(1_000).text).to.not.equal(statement.at(10_000).text);
  });

  const reads: Record<string, (pool: Database, n: number) => Promise<unknown>> = {
    'one outcome': (pool, n) =>
      readOutcomes(pool, WORKSPACE, { keys: [{ clientId: 'c', opId: `op-${n}` }], maxBytes: 1 }),
    'a page': (pool, n) =>
      readPage(
        pool,
        WORKSPACE,
        { seq: n, liveUntil: 0, bucket: undefined },
        { limit: 2, maxBytes: 1_000_000, separator: ',' },
      ),
    'a few changes': (pool, n) =>
      readChanges(pool, WORKSPACE, { seq: n, liveUntil: 0 }, { limit: 2, maxBytes: 1_000_000 }),
    'a task': (pool, n) => findTask(pool, WORKSPACE, `task-${n}`),
  };
  for (const [what, read] of Object.entries(reads)) {
    it(`that read ${what} are planned five times on a connection, and then no more`, async () => {
      const pool = await openPool();
      pool.sawOperation(5_000);
      for (let n = 0; n < 12; n += 1) await read(pool, n);
      const used = await pool.select<{ custom: number; generic: number }>(
        'SELECT custom_plans AS custom, generic_plans AS generic FROM pg_prepared_statements',
        [],
      );
      expect(used).to.deep.equal([{ custom: 5, generic: 7 }]);
    });
  }

  /** How often `work` writes to the server, on a pool of one connection. */
  async function countWrites(pool: Database, work: () => Promise<unknown>): Promise<number> {
    let writes = 0;
    let stream: NodeJS.WritableStream | undefined;
    const stop = onStatement((client) => {
      stream = client.connection.stream;
    });
    await pool.run(planned('SELECT 1 AS one'), []);
    stop();
    if (!(stream instanceof Socket)) throw new Error('there is no socket');
    const { _writev: original } = stream;
    if (typeof original !== 'function') throw new Error('a socket writes many chunks at once');
    stream._writev = function count(...parameters) {
      writes += 1;
      Reflect.apply(original, this, parameters);
    };
    await work();
    stream._writev = original;
    return writes;
  }

  it('of one turn leave in one write', async () => {
    const pool = await openPool();
    const two = planned('SELECT 2 AS two');
    const work = () =>
      pool.pipeline(async (session, sendCommit) => {
        const answers = Promise.all([session.run(two, []), session.run(two, []), session.run(two, [])]);
        sendCommit();
        await answers;
      });
    expect(await countWrites(pool, work), 'BEGIN, three statements and COMMIT').to.equal(1);
  });

  const directWrite = (allows: () => boolean): DirectWrite => ({
    workspaceId: WORKSPACE,
    kind: 'create',
    taskId: newId('direct'),
    data: { title: 'T' },
    allows,
    opId: newUuid(),
    now: () => NOW,
    newServerId: newUuid,
  });

  it('of a direct write are two round trips: others wait for the lock meanwhile', async () => {
    const pool = await openPool();
    expect(
      await countWrites(pool, () =>
        writeTask(
          pool,
          directWrite(() => true),
        ),
      ),
    ).to.equal(2);
  });

  it('of a direct write that is refused change nothing and cost no connection', async () => {
    const pool = await openPool();
    const first = await backend(pool);
    const wanted = directWrite(() => expect.fail('not this one'));
    expect(await rejection(writeTask(pool, wanted))).to.include({ message: 'not this one' });
    expect(
      await writeTask(
        pool,
        directWrite(() => false),
      ),
    ).to.equal(undefined);
    expect(await backend(pool)).to.equal(first);
    expect(await findTask(pool, WORKSPACE, wanted.taskId)).to.equal(undefined);
  });

  it('are not prepared with DATABASE_PREPARED_STATEMENTS=false, and do the same', async () => {
    const pool = await openPool({ preparedStatements: false });
    const batch = batchOf([operation('unprepared-1'), operation('unprepared-2', 1)]);
    const ids = (await acceptBatches(pool, WORKSPACE, [packBatch(batch)])).get(batch.batchId) ?? [];
    expect(ids).to.have.length(2);
    const request = { workspaceId: WORKSPACE, upTo: ids.at(-1) ?? 0, limit: 500, now: () => NOW, newServerId: newUuid };
    expect((await applyPending(pool, request)).outcomes).to.deep.equal({ success: 2 });
    const outcomes = await readOutcomes(pool, WORKSPACE, {
      keys: [{ clientId: 'c', opId: 'unprepared-2' }],
      maxBytes: 1,
    });
    expect([...outcomes.operations.values()].map(({ status }) => status)).to.deep.equal(['synced']);
    expect(await preparedNames(pool)).to.deep.equal([]);
  });

  it('fail with the error of the server, and the connection goes on', async () => {
    const pool = await openPool();
    const first = await backend(pool);
    const error = await rejection(pool.run(planned('SELECT 1 / $1::int AS result'), [0]));
    expect(error).to.include({ code: '22012' });
    expect(classifyFault(error)).to.equal('permanent');
    expect(await backend(pool)).to.equal(first);
  });

  it('run on a new connection after theirs was cut, and the fault is transient', async () => {
    const pool = await openPool();
    const first = await backend(pool);
    const sleeping = rejection(pool.run(planned('SELECT pg_sleep(20)::text AS slept'), []));
    await system.database.select('SELECT pg_terminate_backend($1)', [first]);
    expect(classifyFault(await sleeping)).to.equal('transient');
    expect(await backend(pool)).to.not.equal(first);
  });

  it('wait for a connection of the pool no longer than the pool allows', async () => {
    const pool = await openPool();
    await pool.pipeline(async (session) => {
      await session.run(planned('SELECT 1 AS one'), []);
      expect(classifyFault(await rejection(pool.run(planned('SELECT 1 AS one'), [])))).to.equal('transient');
    });
    expect(await pool.run(planned('SELECT 1 AS one'), [])).to.deep.equal([{ one: 1 }]);
  });

  it('whose result has another type now are a transient fault, once', async () => {
    const pool = await openPool();
    await system.database.sequelize.query('CREATE TABLE changing (value integer)');
    const statement = prepared('changing', 'SELECT value FROM changing');
    await pool.run(statement, []);
    await system.database.sequelize.query('ALTER TABLE changing ALTER COLUMN value TYPE text');
    expect(classifyFault(await rejection(pool.run(statement, [])))).to.equal('transient');
    expect(await pool.run(statement, [])).to.deep.equal([]);
  });

  it('that a pooler has lost are repeated and from then on not prepared, with one warning; nothing is done twice (I2)', async () => {
    const warnings: string[] = [];
    const pool = await openPool({ warn: (message) => void warnings.push(message) });
    await system.database.sequelize.query('CREATE TABLE counted (value integer)');
    const insert = prepared('counted', 'INSERT INTO counted VALUES ($1) RETURNING value');
    const inPipeline = (value: number) =>
      pool.pipeline(async (session, sendCommit) => {
        const running = session.run(insert, [value]);
        sendCommit();
        return running;
      });
    await pool.run(insert, [1]);
    await inPipeline(2);
    // 26000: the name is not known; then 42P05: somebody else has given it.
    await pool.select('DEALLOCATE ALL', []);
    expect(await inPipeline(3)).to.deep.equal([{ value: 3 }]);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.include('DATABASE_PREPARED_STATEMENTS=false');
    expect(await pool.run(insert, [4])).to.deep.equal([{ value: 4 }]);
    const other = await openPool({ warn: (message) => void warnings.push(message) });
    await other.select(`PREPARE ${insert.at(0).name} AS SELECT 1`, []);
    expect(await other.run(insert, [5])).to.deep.equal([{ value: 5 }]);
    expect(warnings).to.have.length(2);
    const rows = await pool.select<{ value: number }>('SELECT value FROM counted ORDER BY value', []);
    expect(rows.map(({ value }) => value)).to.deep.equal([1, 2, 3, 4, 5]);
    expect(await preparedNames(pool)).to.deep.equal([]);
  });

  it('of a transaction that fails leave nothing, whether COMMIT was on its way or not', async () => {
    const pool = await openPool();
    await system.database.sequelize.query('CREATE TABLE kept (value integer)');
    const insert = planned('INSERT INTO kept VALUES ($1) RETURNING value');
    const fail = planned('SELECT 1 / 0 AS result');
    const count = async () => (await pool.select<{ count: number }>('SELECT count(*) FROM kept', []))[0]?.count;
    for (const isCommitSent of [true, false]) {
      const error = await rejection(
        pool.pipeline(async (session, sendCommit) => {
          // The error of the statement is told, however late its caller comes to see it.
          const running = Promise.all([Promise.all([session.run(insert, [1]), session.run(fail, [])])]);
          if (isCommitSent) sendCommit();
          await running;
        }),
      );
      expect(error).to.include({ code: '22012' });
      expect(await count()).to.equal(0);
    }
    await rejection(
      pool.pipeline(async (session) => {
        await session.run(insert, [1]);
        throw new Error('not of the database');
      }),
    );
    expect(await count()).to.equal(0);
    await pool.pipeline((session) => session.run(insert, [1]));
    expect(await count()).to.equal(1);
  });

  it('begin under settings that end with their transaction', async () => {
    const pool = await openPool();
    await pool.sequelize.query('SET jit = on');
    const show = planned("SELECT current_setting('enable_hashjoin') AS joins, current_setting('jit') AS jit");
    expect(await pool.pipeline((session) => session.run(show, []))).to.deep.equal([{ joins: 'off', jit: 'off' }]);
    expect(await pool.run(show, [])).to.deep.equal([{ joins: 'on', jit: 'on' }]);
  });
});

describe('a database that was empty a moment ago', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  const push = (count: number) => system.push(Array.from({ length: count }, () => createItem(newId('task'))));

  /** Entries of indexes that were read since the server was started. */
  async function entriesRead() {
    await system.database.select('SELECT pg_stat_force_next_flush()', []);
    const [row] = await system.database.select<{ read: number }>(
      'SELECT sum(idx_tup_read)::float8 AS read FROM pg_stat_user_indexes',
      [],
    );
    return row?.read ?? 0;
  }

  it('has no plan that keeps reading all of it when it is not empty any more', async () => {
    // PostgreSQL settles for a plan at the sixth execution on a connection.
    for (let n = 0; n < 40; n += 1) await push(1);
    await system.database.sequelize.query(
      `INSERT INTO sync_queue (workspace_id, client_id, op_id, content_hash, position, task_id, operation, task_data, updated_at, status,
         outcome, max_retries, created_at)
       SELECT '${WORKSPACE}', 'filled', 'op-' || n, 'h', 0, 'task-' || n, 'create', '{}', now(), 'synced', 'success', 3, now()
       FROM generate_series(1, 20000) n`,
    );
    const before = await entriesRead();
    for (let n = 0; n < 8; n += 1) await push(50);
    // Sessions tell what they have read about once a second.
    await eventually(async () => (await entriesRead()) > before);
    await sleep(1_500);
    const perOperation = ((await entriesRead()) - before) / 400;
    // About 100, 330 on a machine that is so busy that requests look again and again; 6,300 with a kept plan.
    expect(perOperation).to.be.lessThan(1_500);
  });
});

describe('batches that are stored together', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
  });
  after(() => system.stop());

  /** Submits batches in one turn; the first may go alone, the others share a statement. */
  async function acceptTogether(batches: BatchToAccept[]) {
    let statements = 0;
    const accept = createAccept(system.database);
    await accept(batchOf([operation(newId('warm'))]));
    const stop = onStatement(() => {
      statements += 1;
    });
    const settled = await Promise.allSettled(batches.map(accept));
    stop();
    return { statements, settled };
  }

  const idsOf = (result: PromiseSettledResult<number[]> | undefined) =>
    result?.status === 'fulfilled' ? result.value : expect.fail('a batch was not stored');

  it('take one statement and get their ids in the order in which they came, each its own', async () => {
    const batches = Array.from({ length: 5 }, (_, b) =>
      batchOf([9, 1, 5].map((n, position) => operation(`group-${b}-${n}`, position))),
    );
    const { statements, settled } = await acceptTogether(batches);
    expect(statements).to.equal(1);
    const ids = settled.flatMap(idsOf);
    expect(ids).to.have.length(15);
    expect(ids).to.deep.equal(ids.toSorted((a, b) => a - b));
    const rows = await system.database.select<{ opId: string }>(
      'SELECT op_id AS "opId" FROM sync_queue WHERE id = ANY($1::bigint[]) ORDER BY id',
      [ids],
    );
    expect(rows.map(({ opId }) => opId)).to.deep.equal(
      batches.flatMap(({ operations }) => operations.map(({ opId }) => opId)),
    );
  });

  it('bring an operation once that two of them carry; the first has it (I2)', async () => {
    const shared = operation('shared');
    const first = batchOf([shared]);
    const second = batchOf([operation('beside'), { ...shared, position: 1 }]);
    const { settled } = await acceptTogether([first, second, batchOf([shared])]);
    expect(settled.map((result) => idsOf(result).length)).to.deep.equal([1, 1, 0]);
    const rows = await system.database.select<{ batchId: string }>(
      `SELECT batch_id AS "batchId" FROM sync_queue WHERE op_id = 'shared'`,
      [],
    );
    expect(rows).to.deep.equal([{ batchId: first.batchId }]);
    const finished = await system.database.select<{ finished: boolean }>(
      'SELECT finished_at IS NOT NULL AS finished FROM sync_batches WHERE id = ANY($1::uuid[]) ORDER BY total, finished_at NULLS LAST',
      [[first.batchId, second.batchId]],
    );
    expect(finished).to.deep.equal([{ finished: false }, { finished: false }]);
  });

  it('are stored alone where one of them cannot be stored: it is refused, the others are not (I5)', async () => {
    const bad = batchOf([operation('bad', 0, 'nul\u0000')]);
    const good = [batchOf([operation('good-1')]), batchOf([operation('good-2')])];
    const { settled } = await acceptTogether([...good.slice(0, 1), bad, ...good.slice(1)]);
    expect(settled.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'fulfilled']);
    expect(settled.flatMap((result) => (result.status === 'fulfilled' ? result.value : []))).to.have.length(2);
    const [bad1] = settled.filter(({ status }) => status === 'rejected');
    expect(classifyFault(bad1?.status === 'rejected' ? bad1.reason : undefined)).to.equal('permanent');
  });

  it('are told alike when the database is away, and none is tried twice', async () => {
    const address = await resolveDatabaseAddress(requireDatabaseUrl(system.config), 5_000);
    const pool = openDatabase({ ...address, port: 1 }, system.config.database, 'test');
    const accept = createAccept(pool);
    const settled = await Promise.allSettled([1, 2, 3].map((n) => accept(batchOf([operation(`away-${n}`)]))));
    expect(settled.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected', 'rejected']);
    for (const result of settled) {
      expect(classifyFault(result.status === 'rejected' ? result.reason : undefined)).to.equal('transient');
    }
    await pool.close();
  });

  it('share a statement only up to 500 operations', async () => {
    const batches = Array.from({ length: 11 }, (_, b) =>
      batchOf(Array.from({ length: 100 }, (_, position) => operation(`many-${b}-${position}`, position))),
    );
    const { statements, settled } = await acceptTogether(batches);
    expect(settled.flatMap(idsOf)).to.have.length(1_100);
    expect(statements).to.equal(3);
  });
});

describe('a database without statistics', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
    for (const table of ['tasks', 'sync_queue', 'sync_batches']) {
      await system.database.sequelize.query(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
    }
  });
  after(() => system.stop());

  const HOT = [READ_PENDING, WRITE_FOLD, FINISH, FINISH_AND_TELL, OUTCOMES];

  /** Accepts, applies and reads a batch of so many operations. */
  async function work(name: string, count: number) {
    const { database } = system;
    const batch = batchOf(Array.from({ length: count }, (_, position) => operation(`${name}-${position}`, position)));
    const ids = (await acceptBatches(database, WORKSPACE, [packBatch(batch)])).get(batch.batchId) ?? [];
    const common = { workspaceId: WORKSPACE, now: () => NOW, newServerId: newUuid };
    const middle = ids[count / 2 - 1] ?? 0;
    for (const request of [
      { ...common, upTo: middle, limit: 500 },
      {
        ...common,
        upTo: ids.at(-1) ?? 0,
        limit: 500,
        waiting: { batches: new Map([[batch.batchId, { replyTo: 'me', count: count / 2 }]]), max: 500 },
      },
    ]) {
      expect((await applyPending(database, request)).settled).to.equal(count / 2);
    }
    await readOutcomes(database, WORKSPACE, { keys: batch.operations.slice(0, 50), maxBytes: 1 });
  }

  // Plans are kept from the sixth run on: that of accepting from when the log was empty, those of lookups from 1,000 operations on, and from 10,000.
  for (const [operations, keptFrom] of [
    [9_500, 1_000],
    [45_000, 10_000],
  ] as const) {
    it(`is worked on by keys, also by plans that were made when it was much smaller than ${operations} operations`, async () => {
      const { database } = system;
      for (let length = await logLength(database); length < operations; length += 500) await work(`${length}`, 500);
      const kept = await database.select<{ text: string }>(
        'SELECT statement AS text FROM pg_prepared_statements WHERE generic_plans > 0',
        [],
      );
      for (const { at } of HOT) expect(kept.map(({ text }) => text)).to.include(at(keptFrom).text);
      const before = await scanned(database);
      await work(`last of ${operations}`, 50);
      expect((await scanned(database)) - before, 'rows that were looked at').to.be.lessThan(2_000);
    });
  }

  it('is one whose length a process knows from its start: its lookups are prepared at once', async () => {
    const logger = createLogger({ level: 'error', process: 'test' });
    const url = requireDatabaseUrl(system.config);
    const options = { ...system.config.database, poolSize: 1 };
    const { database } = await waitForDatabase(url, options, 'test', logger, createShutdown(logger, 1_000));
    const statement = lookup('of_others', 'SELECT 1 AS found');
    await database.pipeline((session) => session.run(statement, []));
    const names = await database.select<{ name: string }>('SELECT name FROM pg_prepared_statements', []);
    await database.close();
    expect(names).to.deep.equal([{ name: statement.at(await logLength(system.database)).name }]);
  });

  it('is read by keys when much has failed, also by plans from before anything had', async () => {
    const { database } = system;
    const form = { limit: 250, maxBytes: 1_000_000, separator: ',' };
    const read = () => readPage(database, WORKSPACE, { seq: 0, liveUntil: 0, bucket: undefined }, form);
    for (let n = 0; n < 8; n += 1) expect((await read()).text).to.not.include('"sync_status":"error"');
    await database.sequelize.query(
      `UPDATE sync_queue SET status = 'failed', last_attempted_at = now() + interval '1 day' WHERE id % 5 = 0`,
    );
    const before = await scanned(database);
    expect((await read()).text.match(/"sync_status":"error"/g)).to.have.length(50);
    expect((await scanned(database)) - before, 'rows that were looked at').to.be.lessThan(1_000);
  });
});

async function logLength(database: Database): Promise<number> {
  const [row] = await database.select<{ count: number }>('SELECT count(*) AS count FROM sync_queue', []);
  return row?.count ?? 0;
}

/** Rows of our tables that scans have looked at so far. */
async function scanned(database: Database): Promise<number> {
  await database.sequelize.query('SELECT pg_stat_force_next_flush()');
  const [row] = await database.select<{ rows: number }>(
    `SELECT sum(seq_tup_read + idx_tup_fetch) AS rows FROM pg_stat_user_tables WHERE relname IN ('tasks', 'sync_queue', 'sync_batches')`,
    [],
  );
  return Number(row?.rows ?? 0);
}
