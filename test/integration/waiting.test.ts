// How long a batch's answer waits (DESIGN 5, RFC 7240): 202 with a ticket while operations are pending, 200 when all are settled.
import { expect } from 'chai';
import { expectBatch, followReference, UUID_V7 } from '../support/contract.js';
import { createItem, newId, updateItem } from '../support/operations.js';
import { type Answer, eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const ASYNC = { prefer: 'respond-async' };

const expectTicket = (answer: Answer, path = '/api/sync/batch') => {
  expectBatch(answer, 202);
  expect(answer.body.batch_id).to.match(UUID_V7);
  const ticket = followReference(path, answer.headers.get('location') ?? '');
  expect(ticket).to.equal(`/api/sync/batches/${answer.body.batch_id}`);
  expect(Number(answer.headers.get('retry-after')))
    .to.be.within(1, 60)
    .and.satisfy(Number.isInteger);
};

describe('a batch without a worker', () => {
  let system: System;

  beforeEach(async () => {
    system = await withQueue(startSystem(import.meta.url, { workers: 0 }));
  });
  afterEach(() => system.stop());

  it('is answered 202 with a ticket, which becomes 200 with the same body once a worker has come', async () => {
    const id = newId('task');
    const items = [createItem(id), 'no item', updateItem(id, { title: 'second' }), updateItem(newId('never'), {})];
    const accepted = await system.push(items, {}, ASYNC);
    expectTicket(accepted);
    expect(accepted.headers.get('preference-applied')).to.equal('respond-async');
    expect(accepted.body.progress).to.deep.equal({ total: 4, processed: 1, percent: 25 });
    for (const item of accepted.body.processed_items.filter((each: { status: string }) => each.status === 'pending')) {
      expect(item).to.include({ resolved_data: null, server_id: null });
      expect(item).to.not.have.any.keys('message', 'duplicate', 'field');
    }
    const ticket = followReference('/api/sync/batch', accepted.headers.get('location') ?? '');
    const waiting = await system.request('GET', ticket);
    expectTicket(waiting, ticket);
    expect(waiting.body).to.deep.equal({ ...accepted.body, server_time: waiting.body.server_time });
    // I1: what was answered with 2xx is committed, and is there without any queue.
    const rows = await system.database.select('SELECT status FROM sync_queue ORDER BY id', []);
    expect(rows).to.deep.equal([{ status: 'pending' }, { status: 'pending' }, { status: 'pending' }]);

    await system.startWorker();
    const settled = await eventually(async () => {
      const answer = await system.request('GET', ticket);
      return answer.status === 200 && answer;
    });
    expectBatch(settled, 200);
    expect(settled.headers.get('retry-after')).to.equal(null);
    expect(settled.headers.get('location')).to.equal(null);
    expect(settled.body.summary).to.include({ success: 2, error: 1, not_found: 1, pending: 0 });
    const { body: again } = await system.push(items, {}, { prefer: 'wait=30' });
    const withoutMarks = again.processed_items.map(({ duplicate, ...item }: { duplicate?: true }) => item);
    expect(withoutMarks).to.deep.equal(settled.body.processed_items);
  });

  it('shows its task as pending until it is applied', async () => {
    const { body: task } = await system.request('POST', '/api/tasks', { title: 'direct' });
    expect(task.sync_status).to.equal('synced');
    const pushed = await system.push([updateItem(task.id, { title: 'device' })], {}, ASYNC);
    const [item] = pushed.body.processed_items;
    expect(item.status).to.equal('pending');
    expect(item.resolved_data, 'the task as the server has it now').to.deep.equal({ ...task, sync_status: 'pending' });
    expect((await system.request('GET', `/api/tasks/${task.id}`)).body.sync_status).to.equal('pending');
    expect((await system.request('GET', '/api/tasks')).body[0].sync_status).to.equal('pending');
    await system.startWorker();
    const settled = await eventually(async () => {
      const { body } = await system.request('GET', `/api/tasks/${task.id}`);
      return body.sync_status === 'synced' && body;
    });
    expect(settled.title).to.equal('device');
  });
});

describe('how long a batch waits', () => {
  let system: System;

  before(async () => {
    const env = { SYNC_WAIT_MS: '100', SYNC_WAIT_MAX_MS: '150' };
    system = await withQueue(startSystem(import.meta.url, { workers: 0, env }));
  });
  after(() => system.stop());

  for (const [prefer, applied] of [
    ['wait=0', 'wait=0'],
    ['wait="0"', 'wait=0'],
    ['WAIT = 0', 'wait=0'],
    ['handling=lenient; wait=0', 'wait=0'],
    ['respond-async, wait=0', 'respond-async, wait=0'],
    ['wait=999999', 'wait=999999'],
    ['Respond-Async', 'respond-async'],
    ['return=minimal', null],
    ['wait=-1', null],
    ['wait=soon', null],
    ['wait=99999999999999999999', null],
  ] as const) {
    it(`understands Prefer: ${prefer}, within its limits`, async () => {
      const answer = await system.push([createItem(newId('task'))], {}, { prefer });
      expectTicket(answer);
      expect(answer.headers.get('preference-applied')).to.equal(applied);
    });
  }

  it('is answered 202 when the normal wait is over', async () => {
    expectTicket(await system.push([createItem(newId('task'))]));
  });
});

describe('a batch that waits', () => {
  let system: System;

  before(async () => {
    // Nothing but the worker can end the wait within the time of a test.
    system = await withQueue(startSystem(import.meta.url, { workers: 0, env: { SYNC_WAIT_MAX_MS: '120000' } }));
  });
  after(() => system.stop());

  it('is answered 200 as soon as a worker has settled it', async () => {
    const waiting = system.push([createItem(newId('task'))], {}, { prefer: 'wait=120' });
    await eventually(async () => (await system.request('GET', '/api/sync/status')).body.pending === 1);
    const worker = await system.startWorker();
    const answer = await waiting;
    expectBatch(answer, 200);
    expect(answer.headers.get('preference-applied')).to.equal('wait=120');
    await worker.run('the test wants it');
  });

  it('is stored although its client has gone, and is found again by a resend', async () => {
    const item = createItem(newId('task'));
    const gone = new AbortController();
    const lost = fetch(`${system.url}/api/sync/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=120' },
      body: JSON.stringify({ items: [item] }),
      signal: gone.signal,
    }).then(
      () => 'answered',
      (error: Error) => error.name,
    );
    await eventually(async () => (await system.request('GET', '/api/sync/status')).body.pending === 1);
    gone.abort();
    expect(await lost).to.equal('AbortError');
    const worker = await system.startWorker();
    const again = await system.push([item], {}, { prefer: 'wait=120' });
    expectBatch(again, 200);
    expect(again.body.processed_items[0]).to.include({ status: 'success', duplicate: true });
    await worker.run('the test wants it');
  });

  it('is answered 202 when the server stops, not cut off', async () => {
    const stopping = await withQueue(startSystem(import.meta.url, { workers: 0, env: { SYNC_WAIT_MAX_MS: '120000' } }));
    const waiting = stopping.push([createItem(newId('task'))], {}, { prefer: 'wait=120' });
    await eventually(async () => (await stopping.request('GET', '/api/sync/status')).body.pending === 1);
    await stopping.stop();
    expectBatch(await waiting, 202);
  });
});
