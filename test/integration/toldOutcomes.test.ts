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
import { OUTCOMES, operationKey, readOutcomes } from '../../src/storage/readOutcomes.js';
import { CONFLICT_STRATEGIES, type ConflictStrategy } from '../../src/sync/merge.js';
import { toMicros } from '../../src/sync/timestamp.js';
import { createJobProcessor } from '../../workers/processJob.js';
import { testBackend } from '../support/environment.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { onStatement } from '../support/statements.js';
import { type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const WORKSPACE = 'default';
const NOW = '2026-06-01T12:00:00.000000Z';
const LATER = '2026-06-01T13:00:00.000000Z';
const TASKS = 6;

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
    const operations = Array.from({ length: 8 }, (_, index): OperationToAccept => {
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

  async function apply(upTo: number, waiting: Map<string, string>, strategy: ConflictStrategy, limit = 500) {
    const request = { workspaceId: WORKSPACE, upTo, limit, waiting, strategy, now: () => NOW, newServerId: newUuid };
    return applyPending(system.database, request);
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
      const random = seeded(strategy.length);
      const seen = new Set<unknown>();
      for (let round = 0; round < 40; round += 1) {
        const prefix = `${strategy}-${Math.floor(round / 8)}`;
        let count = 0;
        const batches = Array.from({ length: 3 }, () => makeBatch(random, prefix));
        const lastIds: number[] = [];
        for (const batch of batches) lastIds.push((await accept(batch)).at(-1) ?? 0);
        // Some of a task's operations have failed, some wait for another attempt, and some batches are left for later: its sync status tells.
        await system.database.select(
          `UPDATE sync_queue SET status = CASE WHEN id % 5 = 0 THEN 'failed' ELSE status END, last_attempted_at = $2::timestamptz,
             next_attempt_at = CASE WHEN id % 7 = 0 THEN $3::timestamptz END
           WHERE workspace_id = $1 AND status = 'pending' AND (id % 5 = 0 OR id % 7 = 0) RETURNING id`,
          [WORKSPACE, random() < 0.5 ? NOW : LATER, LATER],
        );
        const upTo = lastIds[Math.floor(random() * 3)] ?? 0;
        for (const limit of [7, 500]) {
          // The last batch is nobody's.
          const process = createToldBatches('me');
          const expected = batches.slice(0, 2).map((batch) => process.expect(batch));
          const waiting = new Map(batches.slice(0, 2).map(({ id }) => [id, process.name]));
          const { told, batchIds } = await apply(upTo, waiting, strategy, limit);
          expect(told.has(process.name)).to.equal(batchIds.some((id) => waiting.has(id)));
          process.receive(JSON.parse(JSON.stringify(told.get(process.name) ?? null)));
          for (const [index, batch] of batches.slice(0, 2).entries()) {
            const { operations, tasks, incarnation } = expected[index]?.told() ?? expect.fail();
            const settled = batch.operations.filter((each) => operations.has(operationKey(each)));
            if (settled.length === 0) continue;
            const read = await readOutcomes(system.database, WORKSPACE, settled);
            expect(sorted(operations)).to.deep.equal(sorted(read.operations).map(([key, row]) => [key, stateIn(row)]));
            expect(sorted(tasks)).to.deep.equal(sorted(read.tasks));
            expect(incarnation).to.equal(read.incarnation);
            count += settled.length;
            for (const { outcome, outcomeCode, fieldOutcomes } of operations.values()) {
              for (const shown of [outcome, outcomeCode, fieldOutcomes === null ? '' : 'fields']) seen.add(shown);
            }
            for (const { syncStatus, deleted } of tasks.values()) seen.add(syncStatus).add(deleted);
          }
          const ids = batches.slice(0, 2).map(({ id }) => id);
          const [row] = await system.database.select<{ settled: number }>(
            `SELECT count(*) AS settled FROM sync_queue WHERE batch_id = ANY($1::uuid[]) AND status = 'synced'`,
            [ids],
          );
          expect(row?.settled, 'all that was settled was told').to.equal(count);
        }
        await system.database.select('DELETE FROM sync_queue WHERE status <> $1 RETURNING id', ['synced']);
      }
      const all = [
        'success',
        'conflict',
        'not_found',
        'precondition_failed',
        'synced',
        'pending',
        'error',
        true,
        false,
      ];
      expect([...seen]).to.include.members(strategy === 'merge' ? [...all, 'fields'] : all);
    });
  }

  it('are told to who waits for them, each only his own, and to nobody where nobody waits', async () => {
    const random = seeded(7);
    const batches = Array.from({ length: 3 }, (_, index) => makeBatch(random, `own-${index}`));
    let upTo = 0;
    for (const batch of batches) upTo = (await accept(batch)).at(-1) ?? 0;
    const [first, second] = batches;
    const waiting = new Map([
      [first?.id ?? '', 'one'],
      [second?.id ?? '', 'other'],
    ]);
    const { told, settled } = await apply(upTo, waiting, 'lww');
    expect(settled).to.equal(24);
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
    expect((await apply((await accept(silent)).at(-1) ?? 0, new Map(), 'lww')).told.size).to.equal(0);
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

  it('are taken only in the form that this version knows, and only for batches that are waited for', async () => {
    const told = createToldBatches(newUuid());
    const batch = makeBatch(seeded(3), 'form');
    const expected = told.expect(batch);
    const operation = { id: 1, position: 0, taskId: 't', kind: 'create', ifSeq: null, outcome: 'success' };
    const why = { fieldOutcomes: null, outcomeCode: null };
    const message = { format: 1, incarnation: 'i', batches: { [batch.id]: [{ ...operation, ...why }] }, tasks: [] };
    for (const other of [undefined, null, 'text', 7, [], {}, { ...message, format: 2 }]) told.receive(other);
    told.receive({ ...message, batches: { [newUuid()]: [{ ...operation, ...why }] } });
    // A place where no valid item stands.
    told.receive({ ...message, batches: { [batch.id]: [{ ...operation, ...why, position: 1 }] } });
    expect(expected.told().operations.size).to.equal(0);
    told.receive(message);
    expect(expected.told().operations.size).to.equal(1);
    expected.end();
    told.receive({ ...message, batches: { [batch.id]: [{ ...operation, ...why, position: 2 }] } });
    expect(expected.told().operations.size).to.equal(1);
  });

  it('of two workers may come in the wrong order: the newer state of a task stays', () => {
    const told = createToldBatches(newUuid());
    const batch = makeBatch(seeded(5), 'order');
    const expected = told.expect(batch);
    const tell = (position: number, seq: number) =>
      told.receive({
        format: 1,
        incarnation: 'i',
        batches: {
          [batch.id]: [{ id: position, position, taskId: 't', kind: 'update', ifSeq: null, outcome: 'success' }],
        },
        tasks: [{ id: 't', seq }],
      });
    tell(0, 8);
    tell(2, 7);
    expect(expected.told().operations.size).to.equal(2);
    expect(expected.told().tasks.get('t')?.seq).to.equal(8);
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

  /** Pushes, and sees that the answer is what is stored. */
  async function push(items: Item[]) {
    const { status, body } = await system.push(items);
    expect(status).to.equal(200);
    expect(body.progress.processed).to.equal(items.length);
    const readBefore = [...reads];
    const { body: stored } = await system.request('GET', `/api/sync/batches/${body.batch_id}`);
    expect(body).to.deep.equal({ ...stored, server_time: body.server_time });
    reads = readBefore;
    return body;
  }

  it('is made of what was told, without a read', async () => {
    const id = newId('task');
    const items = [createItem(id), updateItem(id, { title: 'second' }), updateItem(newId('never'), {}), deleteItem(id)];
    const { summary, cursor } = await push(items);
    expect(summary).to.include({ success: 3, not_found: 1 });
    expect(reads).to.deep.equal([]);
    const { body: changes } = await system.request('GET', `/api/sync/changes?cursor=${cursor}`);
    expect(changes.changes, 'the cursor is one of the feed, and behind the batch').to.deep.equal([]);
  });

  it('reads what was sent before, and nothing else', async () => {
    const known = createItem(newId('known'));
    await push([known]);
    const { processed_items: items } = await push([createItem(newId('new')), known]);
    expect(items.map(({ duplicate }: { duplicate?: true }) => duplicate)).to.deep.equal([undefined, true]);
    expect(reads).to.deep.equal([[known.op_id]]);
  });

  it('shows the newest state of a task that a new operation and one that was sent before name', async () => {
    const id = newId('task');
    const known = createItem(id);
    await push([known]);
    const { processed_items: items } = await push([updateItem(id, { title: 'newest' }), known]);
    for (const item of items) expect(item.resolved_data.title).to.equal('newest');
  });

  it('is read where what there is to tell is too long for a wake-up', async () => {
    for (const [count, chars, expected] of [
      // 12,000 bytes: NOTIFY takes 8,000.
      [10, 900, testBackend === 'redis' ? 0 : 1],
      [25, 9_000, 1],
    ] as const) {
      reads = [];
      const items = Array.from({ length: count }, () => createItem(newId('long'), { description: 'x'.repeat(chars) }));
      const { processed_items: answered } = await push(items);
      for (const { resolved_data: task } of answered) expect(task.description).to.have.length(chars);
      expect(reads, `${count} of ${chars} characters`).to.have.length(expected);
    }
  });
});
