// Ids as long and as odd as they may be: what is accepted can be addressed (I9), and fits into every index and message, in whatever characters.
import { expect } from 'chai';
import fc from 'fast-check';
import { createItem, newId } from '../support/operations.js';
import { createRandom } from '../support/oracle.js';
import { type System, startSystem } from '../support/system.js';

/** 255 characters of four bytes each that nothing can compress. */
function longId(random: () => number): string {
  const point = () => 0x20000 + Math.floor(random() * 0xa6d0);
  return String.fromCodePoint(...Array.from({ length: 255 }, point));
}

const ODD = [
  '.',
  '/',
  '\\',
  '%',
  '%2e',
  '%2F',
  ' ',
  '?',
  '#',
  ';',
  ':',
  '@',
  '&',
  '=',
  '+',
  '*',
  '"',
  "'",
  '<',
  '~',
  '{}',
  '|',
  '^',
  '`',
];
const FOREIGN = [
  'é',
  'e\u0301',
  '\u{1f600}',
  '\ufeff',
  '\u200d',
  '\u202e',
  '\u00a0',
  '\u00ad',
  '\uffff',
  '\ufffd',
  'ß',
  'İ',
  '漢',
];
const oddId = fc.oneof(
  fc.string({ unit: fc.constantFrom(...ODD, ...FOREIGN, 'a', 'history'), minLength: 1, maxLength: 8 }),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
);

describe('ids', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  it('that are accepted can be read, changed, explained and deleted under /api/tasks', async () => {
    const taken = new Set<string>();
    const accepted = fc.asyncProperty(oddId, async (id) => {
      if (taken.has(id)) return;
      const { status, body } = await system.request('POST', '/api/tasks', { id, title: 'Odd' });
      if (status === 400) {
        expect(body.errors[0].field).to.equal('id');
        return;
      }
      expect(status).to.equal(201);
      taken.add(id);
      const address = `/api/tasks/${encodeURIComponent(id)}`;
      expect((await system.request('GET', address)).body).to.include({ id, title: 'Odd' });
      expect((await system.request('PATCH', address, { title: 'Even' })).body).to.include({ id, title: 'Even' });
      expect((await system.request('PUT', address, { title: 'Put' })).body).to.include({ id, title: 'Put' });
      expect((await system.request('GET', `${address}/history`)).body).to.have.lengthOf(3);
      expect((await system.request('DELETE', address)).body.task).to.include({ id, deleted: true });
    });
    await fc.assert(accepted, { numRuns: 60, seed: 12 });
    expect(taken.size).to.be.greaterThan(30);
  });

  it('of 255 characters of four bytes fit wherever they are kept or told (I1)', async () => {
    const random = createRandom(255);
    const clientId = longId(random);
    const items = Array.from({ length: 60 }, () => {
      const id = longId(random);
      return createItem(id, { title: 'Long' }, { client_id: clientId, op_id: longId(random) });
    });
    const updates = items.map(({ data }) => ({
      client_id: clientId,
      op_id: longId(random),
      operation: 'update',
      data: { id: data.id, title: 'Longer' },
    }));
    for (const [sent, title] of [
      [items, 'Long'],
      [updates, 'Longer'],
    ] as const) {
      const { status, body } = await system.push([...sent]);
      expect(status).to.equal(200);
      expect(body.summary.success, JSON.stringify(body.processed_items[0])).to.equal(60);
      for (const [index, { resolved_data, op_id }] of body.processed_items.entries()) {
        expect(op_id).to.equal(sent[index]?.op_id);
        expect(resolved_data).to.include({ id: items[index]?.data.id, title, updated_by: clientId });
      }
    }
    // One alone is told with the wake-up, as is its resend.
    const alone = createItem(longId(random), {}, { client_id: longId(random), op_id: longId(random) });
    expect((await system.push([alone])).body.processed_items[0]).to.include({ status: 'success' });
    expect((await system.push([alone])).body.processed_items[0]).to.include({ status: 'success', duplicate: true });
    const address = `/api/tasks/${encodeURIComponent(String(alone.data.id))}`;
    expect((await system.request('DELETE', address)).status).to.equal(200);
    const { body: history } = await system.request('GET', `${address}/history?limit=1`);
    expect(history).to.have.lengthOf(1);
    const { headers, body: list } = await system.request('GET', '/api/tasks?limit=1');
    expect(list).to.have.lengthOf(1);
    expect(headers.get('link')).to.match(/cursor=/);
  });

  it('of a refused item are echoed as long as they may be', async () => {
    const random = createRandom(7);
    const [clientId, opId, taskId] = [longId(random), longId(random), longId(random)];
    const item = { client_id: clientId, op_id: opId, operation: 'create', data: { id: taskId, title: '' } };
    const [result] = (await system.push([item])).body.processed_items;
    expect(result).to.include({
      status: 'error',
      field: 'data.title',
      client_id: clientId,
      op_id: opId,
      task_id: taskId,
    });
  });

  it('of Microsoft To Do, 140 characters, are taken', async () => {
    const id = `AQMkADAwATM0MDAAMS0yZjE3LWY0OTItMDACLTAwCgBGAAAD${'x'.repeat(91)}=`;
    expect(id).to.have.lengthOf(140);
    const { body } = await system.push([createItem(id)]);
    expect(body.processed_items[0]).to.include({ status: 'success', task_id: id });
    expect((await system.push([createItem(newId('next'))])).status).to.equal(200);
  });

  describe('that are the server_id of another task', () => {
    // biome-ignore lint/suspicious/noExplicitAny: tests read answers freely
    let other: any;
    before(async () => {
      other = (await system.request('POST', '/api/tasks', { id: newId('other'), title: 'Other' })).body;
    });

    for (const [name, write] of [
      ['as it is written', (text: string) => text],
      ['in capitals', (text: string) => text.toUpperCase()],
    ] as const) {
      it(`are refused by a create, ${name}, and the address stays the other's`, async () => {
        const id = write(other.server_id);
        const items = [createItem(id), createItem(newId('sibling'))];
        const { body } = await system.push(items);
        const [refused, sibling] = body.processed_items;
        expect(refused).to.include({ status: 'error', code: 'id_taken', field: 'data.id', task_id: id });
        expect(refused.resolved_data).to.equal(null);
        expect(refused.message).to.match(/^data\.id is the server_id of another task/);
        expect(sibling.status).to.equal('success');
        expect((await system.push(items)).body.processed_items[0]).to.include({ code: 'id_taken', duplicate: true });
        expect((await system.request('GET', `/api/tasks/${id}`)).body.id).to.equal(other.id);
        expect((await system.request('PATCH', `/api/tasks/${id}`, { title: name })).body).to.include({ id: other.id });
        expect((await system.request('POST', '/api/tasks', { id, title: 'Same' })).status).to.equal(409);
      });
    }

    it('are refused for tombstones too, and name no task in an update', async () => {
      await system.request('DELETE', `/api/tasks/${other.id}`);
      const update = {
        client_id: 'phone',
        op_id: newId('op'),
        operation: 'update',
        data: { id: other.server_id, title: 'x' },
      };
      const { body } = await system.push([createItem(other.server_id), update]);
      const [refused, absent] = body.processed_items;
      expect(refused).to.include({ status: 'error', code: 'id_taken' });
      expect(absent).to.include({ status: 'not_found', resolved_data: null });
    });

    it('are explained, cannot be written again over the other, and are no failed operations', async () => {
      const item = createItem(other.server_id, { title: 'Mine' });
      await system.push([item]);
      const { body: settled } = await system.request('GET', '/api/sync/queue?status=synced&limit=1000');
      const entry = settled.find(({ op_id }: { op_id: string }) => op_id === item.op_id);
      expect(entry).to.include({ code: 'id_taken', seq: null });
      const { body } = await system.request('GET', `/api/sync/operations/${entry.id}`);
      expect(body).to.include({ status: 'error', code: 'id_taken' });
      expect(body.explanation).to.match(/changed nothing, because '.*' is the server_id of another task\.$/);
      const again = await system.request('POST', `/api/sync/operations/${entry.id}/reapply`);
      expect(again.body.code).to.equal('not_reapplicable');
      expect((await system.request('GET', '/api/sync/queue?status=failed')).body).to.deep.equal([]);
    });
  });
});
