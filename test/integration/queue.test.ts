// /api/sync/status, /queue and /trigger (DESIGN 5): what waits, what failed, trying it again, and what a task says of it meanwhile.
import { expect } from 'chai';
import { CANONICAL, expectInvalid, expectTask, nextPage } from '../support/contract.js';
import { refuseTitles } from '../support/faults.js';
import { createItem, deleteItem, newId, updateItem } from '../support/operations.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const QUEUE_ITEM_KEYS = [
  'id',
  'batch_id',
  'client_id',
  'op_id',
  'task_id',
  'operation',
  'task_data',
  'updated_at',
  'status',
  'outcome',
  'error',
  'position',
  'retry_count',
  'seq',
  'workspace_id',
  'max_retries',
  'created_at',
  'last_attempted_at',
  'if_seq',
  'code',
  'fields',
];
const STATUS_KEYS = ['pending', 'failed', 'synced', 'total', 'last_synced_at', 'oldest_pending_s', 'stalled', 'queue'];
const TRIGGER_RESULT_KEYS = ['sync_item_id', 'task_id', 'operation', 'status', 'server_id', 'resolved_data'];
const ASYNC = { prefer: 'respond-async' };
const PERMANENT = '22000';
/** Not in the retry policy's tables: tried again up to max_retries. */
const UNKNOWN = 'XX000';

interface QueueItem {
  id: number;
  op_id: string;
}

describe('the queue without a worker', () => {
  let system: System;
  let nowMs: number;

  beforeEach(async () => {
    nowMs = Date.parse('2027-03-01T12:00:00.000Z');
    system = await withQueue(
      startSystem(import.meta.url, { workers: 0, nowMs: () => nowMs, env: { SYNC_MAX_ITEMS: '3' } }),
    );
  });
  afterEach(() => system.stop());

  const readStatus = async () => (await system.request('GET', '/api/sync/status')).body;

  it('is empty at first', async () => {
    const { status, body } = await system.request('GET', '/api/sync/status');
    expect(status).to.equal(200);
    expect(body).to.have.all.keys(STATUS_KEYS);
    expect(body.queue).to.have.all.keys('backend', 'waiting', 'active', 'delayed', 'failed');
    const nothing = { pending: 0, failed: 0, synced: 0, total: 0, last_synced_at: null, oldest_pending_s: null };
    expect(body).to.include({ ...nothing, stalled: false });
    expect(body.queue).to.include({ waiting: 0, active: 0, delayed: 0, failed: 0 });
    const list = await system.request('GET', '/api/sync/queue');
    expect(list.status).to.equal(200);
    expect(list.body).to.deep.equal([]);
    expect(nextPage(list, '/api/sync/queue')).to.equal(undefined);
    const trigger = await system.request('POST', '/api/sync/trigger');
    expect(trigger.status).to.equal(200);
    expect(trigger.body).to.deep.equal({ status: 'completed', triggered: 0, processed_count: 0, results: [] });
  });

  it('counts what waits, for how long, and when that is too long', async () => {
    await system.push([createItem(newId('a')), createItem(newId('b'))], {}, ASYNC);
    nowMs += 12_345;
    await system.push([createItem(newId('c')), 'no item'], {}, ASYNC);
    const waiting = await readStatus();
    expect(waiting).to.include({
      pending: 3,
      failed: 0,
      synced: 0,
      total: 3,
      oldest_pending_s: 12.345,
      stalled: false,
    });
    expect(waiting.queue).to.include({ waiting: 2, active: 0, failed: 0 });
    nowMs += 17_655;
    expect(await readStatus()).to.include({ oldest_pending_s: 30, stalled: false });
    nowMs += 1;
    expect(await readStatus()).to.include({ oldest_pending_s: 30.001, stalled: true });
    nowMs -= 100_000;
    expect(await readStatus(), 'a clock that went back').to.include({ oldest_pending_s: 0, stalled: false });
    await eventually(async () => (await readStatus()).oldest_pending_s > 0);
  });

  it('counts direct writes as synced', async () => {
    await system.request('POST', '/api/tasks', { title: 'direct' });
    expect(await readStatus()).to.include({ synced: 1, total: 1, last_synced_at: '2027-03-01T12:00:00.000000Z' });
  });

  it('lists what waits, oldest first, as it was received', async () => {
    const items = [
      createItem(newId('a'), { description: 'ü 👩‍👩‍👧 "quoted"', extra: { kept: [1, null] } }),
      updateItem(newId('b'), { title: 'b', updated_at: '2027-02-28T10:30:00.123456+02:00' }, { client_id: 'laptop' }),
      deleteItem(newId('c')),
    ];
    const { body: batch } = await system.push(items, {}, ASYNC);
    const { status, body } = await system.request('GET', '/api/sync/queue');
    expect(status).to.equal(200);
    expect(body).to.have.lengthOf(3);
    for (const [n, item] of items.entries()) {
      expect(body[n]).to.have.all.keys(QUEUE_ITEM_KEYS);
      expect(body[n]).to.include({
        batch_id: batch.batch_id,
        client_id: item.client_id,
        op_id: item.op_id,
        task_id: item.data.id,
        operation: item.operation,
        status: 'pending',
        outcome: null,
        code: null,
        fields: null,
        if_seq: null,
        error: null,
        retry_count: 0,
        max_retries: 3,
        created_at: '2027-03-01T12:00:00.000000Z',
        last_attempted_at: null,
      });
      expect(body[n].id).to.satisfy(Number.isSafeInteger);
      expect(body[n].task_data).to.be.a('string');
      expect(JSON.parse(body[n].task_data)).to.deep.equal(item.data);
    }
    expect(body[1].updated_at).to.equal('2027-02-28T08:30:00.123456Z');
    expect(body.map((item: QueueItem) => item.id)).to.deep.equal(
      [...body.map((item: QueueItem) => item.id)].sort((a, b) => a - b),
    );
  });

  it('lists page by page to the end', async () => {
    const opIds: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      const items = [createItem(newId('task')), createItem(newId('task'))];
      await system.push(items, {}, ASYNC);
      opIds.push(...items.map((item) => item.op_id));
    }
    for (const limit of [1, 3, 4, 8, 1000]) {
      const seen: string[] = [];
      let pages = 0;
      for (
        let next: string | undefined = `/api/sync/queue?status=pending&limit=${limit}`;
        next !== undefined;
        pages += 1
      ) {
        const page = await system.request('GET', next);
        expect(page.status).to.equal(200);
        seen.push(...page.body.map((item: QueueItem) => item.op_id));
        next = nextPage(page, next);
        expect(pages, 'the list ends').to.be.below(20);
      }
      expect(seen).to.deep.equal(opIds);
      expect(pages).to.equal(Math.ceil(8 / limit));
    }
  });

  it('is triggered at most SYNC_MAX_ITEMS at a time, the oldest first, and says what still waits', async () => {
    await system.push([createItem(newId('a')), createItem(newId('b'))], {}, ASYNC);
    await system.push([createItem(newId('c')), createItem(newId('d'))], {}, ASYNC);
    const { body: items } = await system.request('GET', '/api/sync/queue');
    const { status, body } = await system.request('POST', '/api/sync/trigger', undefined, ASYNC);
    expect(status).to.equal(200);
    expect(body).to.include({ status: 'processing', triggered: 3, processed_count: 0 });
    expect(body.results.map((result: { sync_item_id: number }) => result.sync_item_id)).to.deep.equal(
      items.slice(0, 3).map((item: QueueItem) => item.id),
    );
    for (const result of body.results) {
      expect(result).to.have.all.keys(TRIGGER_RESULT_KEYS);
      expect(result).to.include({ operation: 'create', status: 'pending', server_id: null, resolved_data: null });
    }
    expect(await readStatus()).to.include({ pending: 4 });
  });

  it('is applied by a trigger whose jobs were lost', async () => {
    await system.push([createItem(newId('a')), createItem(newId('b'))], {}, ASYNC);
    const triggering = system.request('POST', '/api/sync/trigger', {}, { prefer: 'wait=30' });
    await system.startWorker();
    const { body } = await triggering;
    expect(body).to.include({ status: 'completed', triggered: 2, processed_count: 2 });
    for (const result of body.results) {
      expect(result.status).to.equal('success');
      expectTask(result.resolved_data);
    }
    expect(await readStatus()).to.include({ pending: 0, synced: 2 });
  });
});

describe('GET /api/sync/queue', () => {
  let system: System;

  before(async () => {
    system = await withQueue(startSystem(import.meta.url, { workers: 0 }));
  });
  after(() => system.stop());

  for (const [query, field] of [
    ['status=done', 'status'],
    ['status=', 'status'],
    ['status=pending&status=failed', 'status'],
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=x', 'limit'],
    ['cursor=', 'cursor'],
    ['cursor=nonsense', 'cursor'],
    [`cursor=${Buffer.from('["created_at", "x", "y"]').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('[1.5]').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('[1e300]').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('["1"]').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('{"0": 1, "length": 1}').toString('base64url')}`, 'cursor'],
  ] as const) {
    it(`answers 400 to ?${query}`, async () => {
      expectInvalid(await system.request('GET', `/api/sync/queue?${query}`), field);
    });
  }
});

describe('an operation that fails', () => {
  let system: System;
  const refusals: (() => Promise<void>)[] = [];

  before(async () => {
    // Without the reconciler: what a test sees is the doing of the operation's own job.
    system = await withQueue(startSystem(import.meta.url, { env: { RECONCILE_AFTER_MS: '3600000' } }));
  });
  after(() => system.stop());
  afterEach(async () => {
    await allowAll();
    await system.request('POST', '/api/sync/trigger');
  });

  const refuse = async (word: string, sqlState = PERMANENT) => {
    refusals.push(await refuseTitles(system.database, word, sqlState));
  };
  const allowAll = async () => {
    for (const allow of refusals.splice(0)) await allow();
  };
  const failedItems = async () => (await system.request('GET', '/api/sync/queue?status=failed')).body;
  const syncStatusOf = async (id: string) => (await system.request('GET', `/api/tasks/${id}`)).body.sync_status;

  it('is shown everywhere, kept, and applied by a trigger once it can be', async () => {
    const id = newId('task');
    await system.push([createItem(id, { title: 'good' })]);
    await refuse('Poison');
    const bad = updateItem(id, { title: 'Poison' });
    const { body: batch } = await system.push([bad, createItem(newId('sibling'))]);
    expect(batch.summary).to.include({ success: 1, error: 1 });
    const [result] = batch.processed_items;
    expect(result).to.include({ status: 'error', op_id: bad.op_id, task_id: id });
    expect(result.message).to.include('refused: Poison');
    expect(result.resolved_data, 'the task as it is').to.include({ id, title: 'good', sync_status: 'error' });
    expect(await syncStatusOf(id)).to.equal('error');

    const [item, ...others] = await failedItems();
    expect(others).to.deep.equal([]);
    expect(item).to.have.all.keys(QUEUE_ITEM_KEYS);
    expect(item).to.include({ op_id: bad.op_id, task_id: id, status: 'failed', outcome: null, max_retries: 3 });
    expect(item.error).to.include('refused: Poison');
    expect(item.last_attempted_at).to.match(CANONICAL);
    expect((await system.request('GET', '/api/sync/status')).body).to.include({ pending: 0, failed: 1 });

    const still = (await system.request('POST', '/api/sync/trigger')).body;
    expect(still).to.include({ status: 'completed', triggered: 1, processed_count: 1 });
    expect(still.results[0]).to.have.all.keys([...TRIGGER_RESULT_KEYS, 'message']);
    expect(still.results[0]).to.include({ sync_item_id: item.id, task_id: id, operation: 'update', status: 'error' });

    await allowAll();
    const applied = (await system.request('POST', '/api/sync/trigger')).body;
    expect(applied.results[0]).to.include({ sync_item_id: item.id, status: 'success' });
    expect(applied.results[0].resolved_data).to.include({ id, title: 'Poison', sync_status: 'synced' });
    expect(await failedItems()).to.deep.equal([]);
    const again = await system.push([bad]);
    expect(again.body.processed_items[0]).to.include({ status: 'success', duplicate: true });
    const before = await system.request('GET', `/api/sync/batches/${batch.batch_id}`);
    expect(before.body.summary, 'the first batch knows it too').to.include({ success: 2, error: 0 });
  });

  it('and is sent again, is answered with its failure and not tried again', async () => {
    await refuse('Twice');
    const item = createItem(newId('task'), { title: 'Twice' });
    const [first] = (await system.push([item])).body.processed_items;
    expect(first).to.include({ status: 'error', resolved_data: null });
    await allowAll();
    const [again] = (await system.push([item])).body.processed_items;
    expect(again).to.deep.equal({ ...first, duplicate: true });
    await system.request('POST', '/api/sync/trigger');
  });

  it('leaves its task in error until a later operation is applied', async () => {
    const id = newId('task');
    await system.push([createItem(id, { title: 'good' })]);
    await refuse('Later');
    await system.push([updateItem(id, { title: 'Later' })]);
    expect(await syncStatusOf(id)).to.equal('error');
    await system.push([updateItem(id, { title: 'good again' })]);
    expect(await syncStatusOf(id)).to.equal('synced');
  });

  it('has fresh retries after a trigger, with backoff like the first time', async () => {
    await refuse('Counted', UNKNOWN);
    const item = createItem(newId('task'), { title: 'Counted' });
    const isFailed = async () => (await failedItems()).find((each: QueueItem) => each.op_id === item.op_id);
    await system.push([item], {}, { prefer: 'wait=30' });
    expect(await eventually(isFailed)).to.include({ retry_count: 3, max_retries: 3 });
    const { body } = await system.request('POST', '/api/sync/trigger', undefined, { prefer: 'wait=10' });
    expect(body).to.include({ status: 'completed', triggered: 1, processed_count: 1 });
    expect(await isFailed(), 'three fresh ones are used up').to.include({ retry_count: 3 });
    await allowAll();
    const again = await system.request('POST', '/api/sync/trigger');
    expect(again.body.results[0].status).to.equal('success');
  });
});
