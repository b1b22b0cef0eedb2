// Who waits for a batch is told what became of it together with the wake-up, and then does not read it. What he is told is what he would have
// read (I2, I4), nobody is told of another's batches, and what was not told is read.
import { expect } from 'chai';
import { v7 as newUuid } from 'uuid';
import { createToldBatches } from '../../src/api/toldBatches.js';
import { createLogger } from '../../src/logger.js';
import { jobsOfBatch } from '../../src/queue/jobs.js';
import { acceptBatches, type OperationToAccept, packBatch } from '../../src/storage/acceptBatch.js';
import { applyPending } from '../../src/storage/applyPending.js';
import type { OperationState, StoredBatch } from '../../src/storage/readBatch.js';
import { OUTCOMES, readOutcomes } from '../../src/storage/readOutcomes.js';
import { CONFLICT_STRATEGIES, type ConflictStrategy } from '../../src/sync/merge.js';
import { toMicros } from '../../src/sync/timestamp.js';
import { createJobProcessor } from '../../workers/processJob.js';
import { testBackend } from '../support/environment.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { onStatement } from '../support/statements.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { openTimeLine } from '../support/timeLine.js';
import { withQueue } from '../support/withQueue.js';

const WORKSPACE = 'default';
const NOW = '2026-06-01T12:00:00.000000Z';
const LATER = '2026-06-01T13:00:00.000000Z';
const TASKS = 6;
const SIZE = 8;

/** Numbers in [0, 1) that are the same each time. */
function seeded(seed: number) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

describe('outcomes that are told', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
  });
  after(() => system.stop());

  /** A batch of operations of all kinds on few tasks, of all ages, some with a precondition. */
  function makeBatch(random: () => number, prefix: string): StoredBatch & { operations: OperationToAccept[] } {
    const operations = Array.from({ length: SIZE }, (_, index): OperationToAccept => {
      const kind = (['create', 'create', 'update', 'update', 'update', 'delete'] as const)[Math.floor(random() * 6)];
      const minute = String(Math.floor(random() * 60)).padStart(2, '0');
      const data: Record<string, unknown> = kind === 'delete' ? {} : { title: `Title ${index}` };
      if (kind === 'update' && random() < 0.5) Object.assign(data, { description: random() < 0.5 ? null : 'text' });
      return {
        position: index * 2,
        clientId: `device-${Math.floor(random() * 3)}`,
        opId: newId('op'),
        contentHash: newId('hash'),
        taskId: `${prefix}-${Math.floor(random() * TASKS)}`,
        kind: kind ?? 'create',
        data,
        updatedAt: `2026-06-01T11:${minute}:00.123456Z`,
        ...(random() < 0.2 ? { ifSeq: Math.floor(random() * 3) } : {}),
      };
    });
    // Between them stands what was refused.
    const entries = operations.flatMap(({ clientId, opId, contentHash }) => [
      { clientId, opId, contentHash },
      { clientId: null, opId: null, operation: null, taskId: null, field: 'data', error: 'no' },
    ]);
    return { id: newUuid(), entries, clock: null, operations };
  }

  async function accept(batch: ReturnType<typeof makeBatch>): Promise<number[]> {
    const { id: batchId, entries, clock, operations } = batch;
    const stored = { workspaceId: WORKSPACE, batchId, entries, clock, operations, maxRetries: 3, now: NOW };
    return (await acceptBatches(system.database, WORKSPACE, [packBatch(stored)])).get(batchId) ?? [];
  }

  /** Applies everything up to an operation, for those who wait for batches of 8. */
  function apply(
    upTo: number,
    waiting: Record<string, string>,
    more: { strategy?: ConflictStrategy; limit?: number } = {},
  ) {
    const batches = new Map(Object.entries(waiting).map(([id, replyTo]) => [id, { replyTo, count: SIZE }]));
    const common = { workspaceId: WORKSPACE, limit: 500, now: () => NOW, newServerId: newUuid };
    return applyPending(system.database, { ...common, upTo, waiting: { batches, max: 100 }, ...more });
  }

  /** The row that is read holds its task, too. */
  const stateIn = (row: OperationState): OperationState => ({
    id: row.id,
    batchId: row.batchId,
    position: row.position,
    clientId: row.clientId,
    opId: row.opId,
    contentHash: row.contentHash,
    taskId: row.taskId,
    kind: row.kind,
    status: row.status,
    outcome: row.outcome,
    ifSeq: row.ifSeq,
    fieldOutcomes: row.fieldOutcomes,
    outcomeCode: row.outcomeCode,
    error: row.error,
  });

  const sorted = <Value>(map: ReadonlyMap<string, Value>) => [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));

  for (const strategy of CONFLICT_STRATEGIES) {
    it(`are those that would be read, strategy ${strategy}`, async () => {
      const { database } = system;
      const random = seeded(strategy.length);
      const seen = new Map<unknown, number>();
      let last: ReturnType<typeof makeBatch> | undefined;
      for (let round = 0; round < 60; round += 1) {
        const prefix = `${strategy}-${Math.floor(round / 10)}`;
        const isAgain = round % 5 === 4 && last !== undefined;
        // Met again when the log does not know them any more.
        if (isAgain) await database.sequelize.query('DELETE FROM sync_queue');
        if (round % 7 === 6) await database.sequelize.query('UPDATE tasks SET stub = true WHERE deleted');
        // Of others: some fail, some wait for another attempt, on tasks of their own, and some come later than what is applied.
        const others = await accept(makeBatch(random, prefix));
        await database.select(
          `UPDATE sync_queue SET status = CASE WHEN id % 3 = 0 AND operation <> 'create' THEN 'failed' ELSE status END, last_attempted_at = $2::timestamptz,
             next_attempt_at = CASE WHEN id % 5 = 0 THEN $3::timestamptz END,
             task_id = CASE WHEN id % 5 = 0 THEN 'apart ' || task_id ELSE task_id END
           WHERE workspace_id = $1 AND id = ANY($4::bigint[]) AND (id % 3 = 0 OR id % 5 = 0) RETURNING id`,
          [WORKSPACE, random() < 0.5 ? NOW : LATER, LATER, others],
        );
        const batch = isAgain && last !== undefined ? { ...last, id: newUuid() } : makeBatch(random, prefix);
        last = batch;
        const ids = await accept(batch);
        expect(ids).to.have.length(SIZE);
        if (random() < 0.3) await accept(makeBatch(random, prefix));
        const isWhole = random() < 0.8;
        if (!isWhole)
          await database.select("UPDATE sync_queue SET status = 'failed' WHERE id = $1 RETURNING id", [ids[3]]);
        const listening = createToldBatches('me', await openTimeLine(database));
        const expected = listening.expect(batch);
        const { told } = await apply(ids.at(-1) ?? 0, { [batch.id]: 'me' }, { strategy });
        listening.receive(JSON.parse(JSON.stringify(told.get('me') ?? null)));
        const outcomes = expected.told();
        expect(outcomes !== undefined, 'only a batch that is settled wholly is told').to.equal(isWhole);
        if (outcomes !== undefined) {
          const read = await readOutcomes(database, WORKSPACE, { keys: batch.operations, maxBytes: 1_000_000 });
          expect(sorted(outcomes.operations)).to.deep.equal(
            sorted(read.operations).map(([key, row]) => [key, stateIn(row)]),
          );
          expect(sorted(outcomes.tasks)).to.deep.equal(sorted(read.tasks));
          expect(outcomes.incarnation).to.equal(read.incarnation);
          const shown = [...outcomes.operations.values()].flatMap((each) => [
            each.outcome,
            each.outcomeCode,
            each.fieldOutcomes && 'fields',
            outcomes.tasks.has(each.taskId) ? 'task' : 'none',
          ]);
          const tasks = [...outcomes.tasks.values()].flatMap(({ syncStatus, deleted }) => [syncStatus, deleted]);
          for (const each of [...shown, ...tasks]) seen.set(each, (seen.get(each) ?? 0) + 1);
        }
        await database.sequelize.query("DELETE FROM sync_queue WHERE status <> 'synced'");
      }
      const codes = ['precondition_failed', 'deleted_remotely', ...(strategy === 'merge' ? ['fields'] : [])];
      const all = [
        'success',
        'conflict',
        'not_found',
        'exists',
        'task',
        'none',
        'synced',
        'pending',
        'error',
        true,
        false,
      ];
      expect([...seen.keys()], 'what the operations came to').to.include.members([...all, ...codes]);
    });
  }

  it('are told to who waits for them, each only his own, and to nobody where nobody waits', async () => {
    const random = seeded(7);
    const batches = Array.from({ length: 3 }, (_, index) => makeBatch(random, `own-${index}`));
    let upTo = 0;
    for (const batch of batches) upTo = (await accept(batch)).at(-1) ?? 0;
    const [first, second] = batches;
    const { told, settled } = await apply(upTo, { [first?.id ?? '']: 'one', [second?.id ?? '']: 'other' });
    expect(settled).to.equal(3 * SIZE);
    expect([...told.keys()]).to.have.members(['one', 'other']);
    for (const [name, batch] of [
      ['one', first],
      ['other', second],
    ] as const) {
      expect(Object.keys(told.get(name)?.batches ?? {})).to.deep.equal([batch?.id]);
      const ids = new Set(batch?.operations.map(({ taskId }) => taskId));
      expect([...ids]).to.include.members(told.get(name)?.tasks.map(({ id }) => id) ?? []);
    }
    const silent = makeBatch(random, 'silent');
    expect((await apply((await accept(silent)).at(-1) ?? 0, {})).told.size).to.equal(0);
  });

  it('are not told of a batch that takes two transactions', async () => {
    const batch = makeBatch(seeded(11), 'two');
    const upTo = (await accept(batch)).at(-1) ?? 0;
    for (const [limit, settled] of [
      [5, 5],
      [500, 3],
    ] as const) {
      const applied = await apply(upTo, { [batch.id]: 'me' }, { limit });
      expect([applied.settled, applied.told.size]).to.deep.equal([settled, 0]);
    }
  });

  it('are not told with jobs of more operations than fit into a wake-up', async () => {
    const random = seeded(9);
    for (const [outcomesMax, names] of [
      [8, ['me']],
      [7, []],
    ] as const) {
      const batch = makeBatch(random, `max-${outcomesMax}`);
      const ids = await accept(batch);
      const applied: string[][] = [];
      const processJob = createJobProcessor({
        database: system.database,
        logger: createLogger({ level: 'error', process: 'test' }),
        retry: system.config.retry,
        strategy: 'lww',
        transactionSize: 500,
        nowMicros: () => toMicros(NOW),
        random: () => 0.5,
        newServerId: newUuid,
        outcomesMax,
        startGuard: { begin: () => expect.fail('nothing is old'), settled: async () => undefined },
        onApplied: (_workspaceId, { told }) => applied.push([...told.keys()]),
        onFailed: () => undefined,
      });
      const [job] = jobsOfBatch(WORKSPACE, batch.id, ids, 50, 'me');
      await processJob(job ?? expect.fail());
      expect(applied).to.deep.equal([names]);
    }
  });

  it('are of the form that their number stands for: whoever changes it raises FORMAT', async () => {
    const batch = makeBatch(seeded(13), 'form');
    const { told } = await apply((await accept(batch)).at(-1) ?? 0, { [batch.id]: 'me' });
    const message = told.get('me') ?? expect.fail();
    expect(message.format).to.equal(1);
    expect(message).to.have.all.keys('format', 'incarnation', 'batches', 'tasks');
    expect(message.batches[batch.id]?.[0]).to.have.all.keys(
      ...['id', 'position', 'taskId', 'kind', 'ifSeq', 'outcome', 'fieldOutcomes', 'outcomeCode'],
    );
    expect(message.tasks[0]).to.have.all.keys(
      ...['id', 'serverId', 'title', 'description', 'completed', 'deleted', 'stub', 'createdAt', 'updatedAt'],
      ...['updatedBy', 'opId', 'seq', 'lastSyncedAt', 'syncStatus'],
    );
  });

  it('are taken only in that form, whole, and while somebody waits for them', async () => {
    const listening = createToldBatches(newUuid(), await openTimeLine(system.database));
    const batch = makeBatch(seeded(3), 'taken');
    const expected = listening.expect(batch);
    const { told } = await apply((await accept(batch)).at(-1) ?? 0, { [batch.id]: 'me' });
    const message = told.get('me') ?? expect.fail();
    const operations = message.batches[batch.id] ?? [];
    const spoilt = [
      { ...message, format: 2 },
      // Of a database that was replaced (I12).
      { ...message, incarnation: 'another' },
      { ...message, tasks: null },
      { ...message, tasks: [null] },
      { ...message, batches: null },
      { ...message, batches: { [batch.id]: [null] } },
      { ...message, batches: { [batch.id]: 'text' } },
      // Another one's, not all, and where no valid item stands.
      { ...message, batches: { [newUuid()]: operations } },
      { ...message, batches: { [batch.id]: operations.slice(1) } },
      { ...message, batches: { [batch.id]: operations.map((each) => ({ ...each, position: each.position + 1 })) } },
    ];
    for (const other of [undefined, null, 'text', 7, [], {}, { format: 1 }, ...spoilt]) listening.receive(other);
    expect(expected.told()).to.equal(undefined);
    listening.receive(message);
    expect(expected.told()?.operations.size).to.equal(SIZE);
    const late = listening.expect(batch);
    late.end();
    listening.receive(message);
    expect(late.told()).to.equal(undefined);
  });
});

describe('the answer to a batch', () => {
  let system: System;
  /** The operations that the api read outcomes of, statement by statement. */
  let reads: unknown[];
  let stop = () => {};
  beforeEach(async () => {
    system = await withQueue(startSystem(import.meta.url));
    reads = [];
    stop = onStatement((_client, text, values = []) => {
      if (text.startsWith(OUTCOMES.at(0).text)) reads.push(values[2]);
    }, 'api');
  });
  afterEach(async () => {
    stop();
    await system.stop();
  });

  /** Pushes, and sees that the answer is what is stored. @returns it, how often outcomes were read for it, and at most how often they were because it was slow */
  async function push(items: Item[]) {
    const startedAt = performance.now();
    const { status, body } = await system.push(items);
    // Who waits looks for himself every half a second, on a machine that is that slow.
    const looks = Math.floor((performance.now() - startedAt) / 500);
    const read = reads.splice(0);
    expect(status).to.equal(200);
    expect(body.progress.processed).to.equal(items.length);
    const { body: stored } = await system.request('GET', `/api/sync/batches/${body.batch_id}`);
    expect(body).to.deep.equal({ ...stored, server_time: body.server_time });
    reads = [];
    return { body, reads: read.length, looks };
  }

  it('is made of what was told, without a read', async () => {
    const id = newId('task');
    const items = [createItem(id), updateItem(id, { title: 'second' }), updateItem(newId('never'), {}), deleteItem(id)];
    const { body, reads, looks } = await push(items);
    expect(body.summary).to.include({ success: 3, not_found: 1 });
    expect(reads).to.be.at.most(looks);
    const { body: changes } = await system.request('GET', `/api/sync/changes?cursor=${body.cursor}`);
    expect(changes.changes, 'the cursor is one of the feed, and behind the batch').to.deep.equal([]);
  });

  it('is read where something in it was sent before', async () => {
    const id = newId('task');
    const known = createItem(id);
    await push([known]);
    const { body, reads } = await push([updateItem(id, { title: 'newest' }), known]);
    expect(body.processed_items.map(({ duplicate }: { duplicate?: true }) => duplicate)).to.deep.equal([
      undefined,
      true,
    ]);
    for (const item of body.processed_items) expect(item.resolved_data.title).to.equal('newest');
    expect(reads).to.be.greaterThan(0);
  });

  it('is read where a batch is more than one job', async () => {
    const { body, reads } = await push(Array.from({ length: 60 }, () => createItem(newId('many'))));
    expect(body.summary.success).to.equal(60);
    expect(reads).to.be.greaterThan(0);
  });

  it('is read where what there is to tell is too long for a wake-up', async () => {
    for (const [count, chars, isTold] of [
      // 12,000 bytes: NOTIFY takes 8,000.
      [10, 900, testBackend === 'redis'],
      [25, 9_000, false],
    ] as const) {
      const items = Array.from({ length: count }, () => createItem(newId('long'), { description: 'x'.repeat(chars) }));
      const { body, reads, looks } = await push(items);
      for (const { resolved_data: task } of body.processed_items) expect(task.description).to.have.length(chars);
      if (isTold) expect(reads, `${count} of ${chars} characters`).to.be.at.most(looks);
      else expect(reads, `${count} of ${chars} characters`).to.be.at.least(1);
    }
  });

  it('shows a task as it is then, not as it was when a part of the batch was applied', async () => {
    // As many attempts as it takes until the other has written.
    await system.stop();
    system = await withQueue(startSystem(import.meta.url, { env: { SYNC_MAX_RETRIES: '100' } }));
    const { database } = system;
    const id = newId('task');
    await push([createItem(id)]);
    // The second operation fails until then; meanwhile somebody else changes the task of the first.
    await database.sequelize.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.title = 'refused for now' AND (SELECT max(seq) FROM tasks WHERE id = '${id}') < 3 THEN
        RAISE EXCEPTION 'not yet' USING ERRCODE = 'XX000'; END IF;
      RETURN NEW; END $$`);
    await database.sequelize.query(
      'CREATE TRIGGER refuse BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION refuse()',
    );
    const pushing = system.push(
      [updateItem(id, { title: 'mine' }), createItem(newId('late'), { title: 'refused for now' })],
      {},
      { prefer: 'wait=20' },
    );
    await eventually(async () => (await system.request('GET', `/api/tasks/${id}`)).body.title === 'mine');
    await system.request('PATCH', `/api/tasks/${id}`, { title: 'other, newer' });
    const { status, body } = await pushing;
    expect(status).to.equal(200);
    expect(body.processed_items[0]).to.include({ status: 'success' });
    expect(body.processed_items[0].resolved_data.title).to.equal('other, newer');
    expect(body.processed_items[1]).to.include({ status: 'success' });
  });
});
