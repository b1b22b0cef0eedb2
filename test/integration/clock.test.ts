// Effective times end to end (DESIGN 3), on an injected clock: microseconds and offsets are kept, wrong clocks are corrected, order stays.
import { expect } from 'chai';
import { expectBatch } from '../support/contract.js';
import { createItem, newId, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const NOW = '2027-03-01T12:00:00.000Z';
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

describe('times', () => {
  let system: System;
  let nowMs = Date.parse(NOW);

  before(async () => {
    system = await withQueue(startSystem(import.meta.url, { nowMs: () => nowMs }));
  });
  after(() => system.stop());
  beforeEach(() => {
    // Each test has a second of its own: times given in one would otherwise push those of the next.
    nowMs += 10_000;
  });

  const iso = (offsetMs: number) => new Date(nowMs + offsetMs).toISOString();
  const micros = (offsetMs: number, digits = '000') => iso(offsetMs).replace('Z', `${digits}Z`);

  /** Pushes one create for each time and reads the times back from the server. */
  const send = async (times: unknown[], clientTimestamp?: unknown) => {
    const items = times.map((updated_at) => createItem(newId('task'), updated_at === undefined ? {} : { updated_at }));
    const envelope = clientTimestamp === undefined ? {} : { client_timestamp: clientTimestamp };
    const answer = await system.push(items, envelope);
    expectBatch(answer, 200);
    expect(answer.body.summary.success).to.equal(items.length);
    const stored: string[] = [];
    for (const item of items) {
      const { body } = await system.request('GET', `/api/tasks/${item.data.id}`);
      expect(body.created_at).to.equal(body.updated_at);
      stored.push(body.updated_at);
    }
    return { stored, clock: answer.body.clock, body: answer.body };
  };

  for (const [given, kept] of [
    ['2027-02-28T10:30:00.123456Z', '2027-02-28T10:30:00.123456Z'],
    ['2027-02-28T10:30:00.123456+02:00', '2027-02-28T08:30:00.123456Z'],
    ['2027-02-28T10:30:00.000001-0530', '2027-02-28T16:00:00.000001Z'],
    ['2027-02-28T23:30:00+14', '2027-02-28T09:30:00.000000Z'],
    ['2027-02-28T10:30:00.123456', '2027-02-28T10:30:00.123456Z'],
    ['2027-02-28 10:30:00.5', '2027-02-28T10:30:00.500000Z'],
    ['2027-02-28T10:30Z', '2027-02-28T10:30:00.000000Z'],
    ['2027-02-28t10:30:00,25z', '2027-02-28T10:30:00.250000Z'],
    ['2027-02-28T10:30:00.123456789Z', '2027-02-28T10:30:00.123456Z'],
    ['1969-12-31T23:59:59.999999Z', '1969-12-31T23:59:59.999999Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
    ['0099-06-01T00:00:00.000001Z', '0099-06-01T00:00:00.000001Z'],
  ] as const) {
    it(`keep ${given} as ${kept}`, async () => {
      const { stored, clock, body } = await send([given]);
      expect(stored).to.deep.equal([kept]);
      expect(clock, 'nothing was adjusted').to.equal(undefined);
      const log = await system.request('GET', '/api/sync/queue?status=synced&limit=1000');
      const logged = log.body.find((item: { batch_id: string }) => item.batch_id === body.batch_id);
      expect(logged.updated_at).to.equal(kept);
      expect(JSON.parse(logged.task_data).updated_at, 'as it was received').to.equal(given);
    });
  }

  it('decide a conflict by one microsecond', async () => {
    const id = newId('task');
    await system.push([createItem(id, { updated_at: '2027-02-28T10:30:00.123456Z' })]);
    const push = async (updated_at: string) =>
      (await system.push([updateItem(id, { title: updated_at, updated_at })])).body.processed_items[0].status;
    expect(await push('2027-02-28T10:30:00.123455Z')).to.equal('conflict');
    expect(await push('2027-02-28T12:30:00.123457+02:00')).to.equal('success');
  });

  it('that are missing become server time, in the order of the batch', async () => {
    const { stored, clock } = await send([undefined, null, undefined, undefined]);
    expect(stored).to.deep.equal(['000', '001', '002', '003'].map((digits) => micros(0, digits)));
    expect(clock).to.equal(undefined);
  });

  it('that are missing keep the order of batches received in the same millisecond', async () => {
    const id = newId('task');
    const titles = ['first', 'second', 'third', 'fourth'];
    await system.push([createItem(id)]);
    for (const title of titles) {
      const { body } = await system.push([updateItem(id, { title })]);
      expect(body.processed_items[0]).to.include({ status: 'success' });
      expect(body.processed_items[0].resolved_data.title).to.equal(title);
    }
  });

  it('in the future become server time, in the order of the batch', async () => {
    const given = [iso(60 * MINUTE_MS), iso(-MINUTE_MS), '9999-12-31T23:59:59.999999Z', iso(1), iso(0)];
    const { stored, clock } = await send(given);
    expect(stored).to.deep.equal([micros(0), micros(-MINUTE_MS), micros(0, '002'), micros(0, '003'), micros(0)]);
    expect(clock).to.deep.equal({ skew_ms: null, adjusted: 3 });
  });

  it('in the future lock nobody out: the next edit wins', async () => {
    const id = newId('task');
    await system.push([createItem(id, { updated_at: '2199-01-01T00:00:00Z' })]);
    nowMs += 1_000;
    const { body } = await system.push([updateItem(id, { title: 'next', updated_at: iso(0) })]);
    expect(body.processed_items[0].status).to.equal('success');
  });

  for (const [name, skewMs] of [
    ['40 minutes ahead', 40 * MINUTE_MS],
    ['a year behind', -365 * DAY_MS],
    ['2,001 ms ahead', 2_001],
    ['2,001 ms behind', -2_001],
  ] as const) {
    it(`of a device whose clock is ${name} are shifted by that, and nothing else changes`, async () => {
      const offsets = [-3_600_000, -10 * MINUTE_MS, -10 * MINUTE_MS + 1, -1, 0];
      const given = offsets.map((offset) => iso(skewMs + offset).replace('Z', '456Z'));
      given[4] = iso(skewMs);
      const { stored, clock } = await send([...given, undefined], iso(skewMs));
      const expected = offsets.map((offset) => micros(offset, '456'));
      expected[4] = micros(0);
      expect(stored).to.deep.equal([...expected, micros(0, '005')]);
      expect(clock).to.deep.equal({ skew_ms: skewMs, adjusted: 5 });
    });
  }

  for (const skewMs of [0, 1_500, 2_000, -2_000]) {
    it(`of a device whose clock is off by ${skewMs} ms are taken as they are`, async () => {
      const { stored, clock } = await send([iso(-MINUTE_MS), iso(-MINUTE_MS + skewMs)], iso(skewMs));
      expect(stored).to.deep.equal([micros(-MINUTE_MS), micros(-MINUTE_MS + skewMs)]);
      expect(clock).to.deep.equal({ skew_ms: skewMs, adjusted: 0 });
    });
  }

  it('stay on the two sides of a conflict where they were, with one clock wrong', async () => {
    const id = newId('task');
    const early = iso(-20 * MINUTE_MS);
    const late = iso(-10 * MINUTE_MS);
    await system.push([createItem(id, { updated_at: early })]);
    // Written 15 minutes ago, before the laptop's edit, on a clock that is 40 minutes ahead.
    const wrong = updateItem(id, { title: 'phone', updated_at: iso(25 * MINUTE_MS) });
    const right = updateItem(id, { title: 'laptop', updated_at: late }, { client_id: 'laptop' });
    await system.push([wrong], { client_timestamp: iso(40 * MINUTE_MS) });
    const { body } = await system.push([right], { client_timestamp: iso(0) });
    expect(body.processed_items[0].status).to.equal('success');
    expect((await system.request('GET', `/api/tasks/${id}`)).body.title).to.equal('laptop');
  });

  it('take client_timestamp with an offset and microseconds', async () => {
    const local = new Date(nowMs + 5 * MINUTE_MS + 2 * 3_600_000).toISOString().replace('Z', '500+02:00');
    const { stored, clock } = await send([iso(-MINUTE_MS + 5 * MINUTE_MS).replace('Z', '500Z')], local);
    expect(stored).to.deep.equal([micros(-MINUTE_MS)]);
    expect(clock).to.deep.equal({ skew_ms: 5 * MINUTE_MS, adjusted: 1 });
  });

  it('shifted beyond the calendar stay within it', async () => {
    const { stored } = await send(['0001-01-01T00:00:00Z'], iso(DAY_MS));
    expect(stored).to.deep.equal(['0001-01-01T00:00:00.000000Z']);
    nowMs += 1_000;
    const ahead = await send(['9999-12-31T23:59:59Z'], iso(-365 * DAY_MS));
    expect(ahead.stored).to.deep.equal([micros(0)]);
  });

  for (const unreadable of [
    'yesterday',
    'infinity',
    '',
    '2026-01-31',
    '20260131',
    '2026-01-31T10Z',
    1_767_225_600,
    {},
    true,
  ]) {
    it(`take client_timestamp ${JSON.stringify(unreadable)} as none, and say so`, async () => {
      const { stored, clock } = await send([iso(-MINUTE_MS)], unreadable);
      expect(stored).to.deep.equal([micros(-MINUTE_MS)]);
      expect(clock).to.include({ skew_ms: null, adjusted: 0 });
      expect(clock.message).to.include('client_timestamp');
    });
  }

  it('of a resend are those of the first acceptance', async () => {
    const item = createItem(newId('task'));
    const first = await system.push([item]);
    nowMs += 10_000;
    const again = await system.push([item], { client_timestamp: iso(-DAY_MS) });
    expect(again.body.processed_items[0].duplicate).to.equal(true);
    expect(again.body.processed_items[0].resolved_data).to.deep.equal(first.body.processed_items[0].resolved_data);
  });

  it('of answers come from the server’s clock', async () => {
    const { body } = await send([undefined]);
    expect(body.server_time).to.equal(micros(0));
    expect(body.processed_items[0].resolved_data.last_synced_at).to.equal(micros(0));
  });
});
