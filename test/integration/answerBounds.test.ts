// Every answer is bounded in bytes, whatever stands in the tasks that it tells of (I8), and no device is left with a wrong copy for it (I10).
import { expect } from 'chai';
import { expectBatch, expectTask } from '../support/contract.js';
import { createItem, newId, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';
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
