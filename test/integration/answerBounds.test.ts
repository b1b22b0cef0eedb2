// Every answer is bounded in bytes, whatever stands in the tasks that it tells of (I8), and no device is left with a wrong copy for it (I10).
import { expect } from 'chai';
import { expectBatch, expectTask, nextPage } from '../support/contract.js';
import { openEventStream } from '../support/eventStream.js';
import { createItem, newId, updateItem } from '../support/operations.js';
import { type Answer, eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const LIMIT_BYTES = 262_144;
/** JSON writes each of them as six bytes: 120,000. */
const LONGEST = '\u0001'.repeat(20_000);

interface Entry {
  index: number;
  task_id: string;
  status: string;
  resolved_data: { id: string; seq: number } | null;
  resolved_data_omitted?: true;
  cursor?: string;
}

const sizeOf = (body: unknown) => Buffer.byteLength(JSON.stringify(body));

describe('the answer to a batch', () => {
  let system: System;

  before(async () => {
    system = await withQueue(startSystem(import.meta.url, { env: { RESPONSE_LIMIT: String(LIMIT_BYTES) } }));
  });
  after(() => system.stop());

  async function createLong(count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, () => newId('long'));
    for (const id of ids) {
      expect((await system.push([createItem(id, { description: LONGEST })])).body.summary.success).to.equal(1);
    }
    return ids;
  }

  it('has a long task once, with the last of many operations on it', async () => {
    const [id = ''] = await createLong(1);
    const items = Array.from({ length: 500 }, (_, n) => updateItem(id, { title: `Title ${n}` }));
    const answer = await system.push(items, {}, { prefer: 'wait=30' });
    expectBatch(answer, 200);
    expect(sizeOf(answer.body)).to.be.below(LIMIT_BYTES + 500 * 600);
    const entries: Entry[] = answer.body.processed_items;
    const last = entries.at(-1);
    expectTask(last?.resolved_data);
    expect(last?.resolved_data).to.deep.include({ title: 'Title 499', description: LONGEST });
    for (const entry of entries.slice(0, -1)) {
      expect(entry).to.include({ status: 'success', resolved_data: null, resolved_data_omitted: true });
      expect(entry.cursor, 'it is visible there all the same').to.equal(last?.cursor);
    }
    const again = await system.request('GET', `/api/sync/batches/${answer.body.batch_id}`);
    expect({ ...again.body, server_time: '' }).to.deep.equal({ ...answer.body, server_time: '' });
  });

  it('leaves out tasks that do not fit; the same operations sent again bring them, a few at a time', async () => {
    const ids = await createLong(8);
    let outbox = ids.map((id) => updateItem(id, { completed: true }));
    const copy = new Map<string, unknown>();
    for (let rounds = 0; outbox.length > 0; rounds += 1) {
      expect(rounds).to.be.below(8);
      const answer = await system.push(outbox);
      expectBatch(answer, 200);
      expect(sizeOf(answer.body)).to.be.below(LIMIT_BYTES);
      expect(answer.body.summary.success).to.equal(outbox.length);
      const entries: Entry[] = answer.body.processed_items;
      for (const entry of entries) if (entry.resolved_data !== null) copy.set(entry.task_id, entry.resolved_data);
      outbox = outbox.filter((_, index) => entries[index]?.resolved_data_omitted);
    }
    for (const id of ids) expect(copy.get(id)).to.deep.equal((await system.request('GET', `/api/tasks/${id}`)).body);
  });

  it('has them all where they fit, also when another batch that is read with it is too long', async () => {
    const ids = await createLong(8);
    const small = Array.from({ length: 20 }, () => newId('small'));
    await system.push(small.map((id) => createItem(id)));
    const pushes = small.map((id) => [updateItem(id, { title: 'a' }), updateItem(id, { title: 'b' })]);
    const long = ids.map((id) => updateItem(id, { completed: true }));
    const [tooLong, ...answers] = await Promise.all([long, ...pushes].map((items) => system.push(items)));
    expect(tooLong?.body.processed_items.some((entry: Entry) => entry.resolved_data_omitted)).to.equal(true);
    for (const { body } of answers) {
      for (const entry of body.processed_items) {
        expectTask(entry.resolved_data);
        expect(entry).to.not.have.property('resolved_data_omitted');
      }
    }
  });

  it('is bounded for refused operations on long tasks as well', async () => {
    const ids = await createLong(8);
    const answer = await system.push(ids.map((id) => updateItem(id, { title: '' })));
    expectBatch(answer, 200);
    expect(answer.body.summary.error).to.equal(8);
    expect(sizeOf(answer.body)).to.be.below(LIMIT_BYTES);
    expect(answer.body.processed_items.at(-1).resolved_data.id).to.equal(ids.at(-1));
    for (const entry of answer.body.processed_items) expect(entry.server_id).to.be.a('string');
  });

  it('that were tried again is bounded as well', async () => {
    const ids = await createLong(4);
    const { database } = system;
    await database.select("UPDATE sync_queue SET status = 'failed' WHERE task_id = ANY($1) RETURNING id", [ids]);
    const { body } = await system.request('POST', '/api/sync/trigger');
    expect(body.triggered).to.equal(4);
    expect(sizeOf(body)).to.be.below(LIMIT_BYTES);
    const omitted = body.results.map((each: Entry) => each.resolved_data_omitted ?? false);
    expect(omitted.at(-1)).to.equal(false);
    expect(omitted).to.include(true);
  });
});

describe('lists of what is long', () => {
  const COUNT = 30;
  let system: System;
  let ids: string[];

  before(async () => {
    const env = { RESPONSE_LIMIT: String(LIMIT_BYTES), BODY_LIMIT: String(16 * 1_048_576) };
    system = await withQueue(startSystem(import.meta.url, { env }));
    ids = Array.from({ length: COUNT }, () => newId('long'));
    await system.push(ids.map((id) => createItem(id, { description: LONGEST })));
    for (let n = 0; n < 3; n += 1) {
      const items = Array.from({ length: 10 }, () => updateItem(ids[0] ?? '', { description: LONGEST }));
      await system.push(items, {}, { prefer: 'wait=30' });
    }
  });
  after(() => system.stop());

  /** Reads all pages. @returns all items, and how many each page had */
  async function readAll(first: string) {
    const items: { id: unknown }[] = [];
    const sizes: number[] = [];
    for (let page: string | undefined = first; page !== undefined; ) {
      const answer: Answer = await system.request('GET', page);
      expect(answer.status).to.equal(200);
      expect(answer.headers.get('content-type')).to.match(/^application\/json\b/);
      expect(sizeOf(answer.body)).to.be.below(LIMIT_BYTES);
      items.push(...answer.body);
      sizes.push(answer.body.length);
      page = nextPage(answer, page);
    }
    return { items, sizes };
  }

  for (const sort of ['created_at', '-updated_at']) {
    it(`tasks by ${sort}: every page ends in time, and together they are whole`, async () => {
      const { items, sizes } = await readAll(`/api/tasks?limit=1000&sort=${sort}`);
      expect(items.map(({ id }) => id)).to.have.members(ids);
      expect(items).to.have.lengthOf(COUNT);
      expect(Math.max(...sizes)).to.equal(2);
    });
  }

  it('the change feed: pages end in time, miss nothing, and a stream of lines has all of it', async () => {
    const seen: string[] = [];
    let hasMore = true;
    for (let cursor = ''; hasMore; ) {
      const { body } = await system.request('GET', `/api/sync/changes?limit=5000${cursor}`);
      expect(sizeOf(body)).to.be.below(LIMIT_BYTES + 500);
      expect(body.changes).to.have.lengthOf.within(1, 2);
      seen.push(...body.changes.map(({ id }: { id: string }) => id));
      cursor = `&cursor=${body.cursor}`;
      hasMore = body.has_more;
    }
    expect(seen).to.have.members(ids).and.have.lengthOf(COUNT);
    const lines = await system.request('GET', '/api/sync/changes', undefined, { accept: 'application/x-ndjson' });
    const streamed = String(lines.body)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(streamed.slice(0, -1).map(({ id }) => id)).to.deep.equal(seen);
    expect(streamed.at(-1)).to.have.all.keys('cursor');
    for (let bucket = 0; bucket < 256; bucket += 1) {
      const { body } = await system.request('GET', `/api/sync/changes?limit=5000&bucket=${bucket}`);
      expect(sizeOf(body)).to.be.below(LIMIT_BYTES + 500);
    }
  });

  it('a live stream from the beginning brings each of them', async () => {
    const { cursor } = (await system.request('GET', '/api/sync/changes?limit=1')).body;
    const brought = new Set<string>();
    const stream = openEventStream(`${system.url}/api/sync/stream`, (event) => brought.add(event.data.task.id), cursor);
    await eventually(() => brought.size === COUNT - 1);
    stream.close();
  });

  it('a history', async () => {
    const { items, sizes } = await readAll(`/api/tasks/${ids[0]}/history?limit=1000`);
    expect(items).to.have.lengthOf(31);
    expect(items.map(({ id }) => Number(id))).to.deep.equal(items.map(({ id }) => Number(id)).sort((a, b) => b - a));
    expect(Math.max(...sizes)).to.equal(2);
  });

  it('the queue', async () => {
    const { items, sizes } = await readAll('/api/sync/queue?status=synced&limit=1000');
    expect(items.length).to.be.at.least(60);
    expect(new Set(items.map(({ id }) => id)).size).to.equal(items.length);
    expect(Math.max(...sizes.slice(0, 25))).to.be.within(1, 2);
  });

  it('a history of operations that carry what nobody asked for, as older versions took it', async () => {
    const id = newId('heavy');
    await system.push([createItem(id)]);
    await system.push(Array.from({ length: 20 }, (_, n) => updateItem(id, { title: `T${n}` })));
    const heavy = `UPDATE sync_queue SET task_data = task_data || jsonb_build_object('blob', repeat('x', 1000000)) WHERE task_id = $1 RETURNING id`;
    await system.database.select(heavy, [id]);
    const { items, sizes } = await readAll(`/api/tasks/${id}/history?limit=1000`);
    expect(items).to.have.lengthOf(21);
    expect(sizes, 'it is left out before it is read').to.deep.equal([21]);
    const [{ id: newest } = { id: '' }] = items;
    const explained = await system.request('GET', `/api/sync/operations/${newest}`);
    expect(explained.body.data).to.deep.equal({ title: 'T19' });
  });

  it('one that is alone too long is shown all the same', async () => {
    const data = { description: LONGEST };
    const failed = await system.push([createItem(newId('one'), data)]);
    expect(failed.body.summary.success).to.equal(1);
    const only = await system.request('GET', '/api/tasks?limit=1&sort=-created_at');
    expect(only.body).to.have.lengthOf(1);
  });
});
