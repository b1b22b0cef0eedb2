// if_seq: an operation that is applied only if the task has not changed since the device saw it, under both strategies.
import { expect } from 'chai';
import { CONFLICT_STRATEGIES } from '../../src/sync/merge.js';
import { expectBatch } from '../support/contract.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';

const at = (minute: number) => `2026-01-31T10:${String(minute).padStart(2, '0')}:00.000000Z`;
const laptop = { client_id: 'laptop' };
const onlyAt = (seq: number, item: Item) => ({ ...item, if_seq: seq });

for (const strategy of CONFLICT_STRATEGIES) {
  describe(`if_seq under ${strategy}`, () => {
    let system: System;
    before(async () => {
      system = await startSystem(import.meta.url, { env: { CONFLICT_STRATEGY: strategy } });
    });
    after(() => system.stop());

    async function push(...items: object[]) {
      const answer = await system.push(items);
      expectBatch(answer, 200);
      return answer.body.processed_items;
    }

    it('applies to the task that the device saw, and to no later one', async () => {
      const id = newId('seen');
      const [made] = await push(createItem(id, { updated_at: at(0) }));
      const { seq } = made.resolved_data;
      const [first] = await push(onlyAt(seq, updateItem(id, { title: 'First', updated_at: at(10) })));
      expect(first.status).to.equal('success');
      const late = onlyAt(seq, updateItem(id, { title: 'Second', updated_at: at(20) }, laptop));
      const [second] = await push(late);
      expect(second).to.include({ status: 'conflict', code: 'precondition_failed' });
      expect(second.message).to.contain(`seq ${seq}`);
      expect(second.resolved_data).to.include({ title: 'First', seq: first.resolved_data.seq });
      const [resent] = await push(late);
      expect(resent).to.include({ status: 'conflict', code: 'precondition_failed', duplicate: true });
      const { body } = await system.request('GET', '/api/sync/queue?status=synced&limit=1000');
      const logged = body.find((each: Item) => each.op_id === late.op_id);
      expect(logged).to.include({ if_seq: seq, outcome: 'conflict', code: 'precondition_failed', fields: null });
    });

    it('is a condition more, not a licence: an edit that is older still loses', async () => {
      const id = newId('older');
      const [made] = await push(createItem(id, { updated_at: at(20) }));
      const [older] = await push(
        onlyAt(made.resolved_data.seq, updateItem(id, { title: 'Older', updated_at: at(10) })),
      );
      expect(older.status).to.equal('conflict');
      expect(older).to.not.have.property('code');
    });

    it('0 asks for a task that does not exist; a tombstone does', async () => {
      const id = newId('new');
      const [made, again] = await push(
        onlyAt(0, createItem(id, { updated_at: at(0) })),
        onlyAt(0, createItem(id, { updated_at: at(10) }, laptop)),
      );
      expect(made.status).to.equal('success');
      expect(again).to.include({ status: 'conflict', code: 'precondition_failed' });
      expect(again.message).to.contain('if_seq 0');
      const [, afterDelete] = await push(
        deleteItem(id, { updated_at: at(20) }),
        onlyAt(0, createItem(id, { updated_at: at(30) }, laptop)),
      );
      expect(afterDelete).to.include({ status: 'conflict', code: 'precondition_failed' });
    });

    it('of a task that is not there: conflict unless it is 0', async () => {
      const id = newId('unknown');
      const [gone, none] = await push(
        onlyAt(5, updateItem(id, { title: 'T' })),
        onlyAt(0, updateItem(id, { title: 'T' })),
      );
      expect(gone).to.include({ status: 'conflict', code: 'precondition_failed', resolved_data: null });
      expect(none.status).to.equal('not_found');
    });

    it('in a batch each operation sees what the one before it left', async () => {
      const id = newId('chain');
      const [made] = await push(createItem(id, { updated_at: at(0) }));
      const { seq } = made.resolved_data;
      const results = await push(
        onlyAt(seq, updateItem(id, { title: 'One', updated_at: at(10) })),
        onlyAt(seq, updateItem(id, { title: 'Two', updated_at: at(20) })),
        updateItem(id, { completed: true, updated_at: at(30) }),
        onlyAt(seq + 2, deleteItem(id, { updated_at: at(40) })),
      );
      expect(results.map(({ status }: { status: string }) => status)).to.deep.equal([
        'success',
        'conflict',
        'success',
        'success',
      ]);
      expect(results[3].resolved_data).to.include({ title: 'One', completed: true, deleted: true, seq: seq + 3 });
    });

    it('of two devices that race from the same state exactly one wins', async () => {
      const id = newId('race');
      const [made] = await push(createItem(id, { updated_at: at(0) }));
      const racers = Array.from({ length: 8 }, (_, index) =>
        onlyAt(
          made.resolved_data.seq,
          updateItem(id, { title: `${index}`, updated_at: at(10 + index) }, { client_id: `d${index}` }),
        ),
      );
      const answers = await Promise.all(racers.map((racer) => push(racer)));
      const statuses = answers.map(([result]) => result.status).toSorted();
      expect(statuses).to.deep.equal([...Array(7).fill('conflict'), 'success']);
    });

    it('is part of what an op_id stands for', async () => {
      const item = updateItem(newId('hash'), { title: 'T' });
      await push(item);
      const [other] = await push(onlyAt(3, item));
      expect(other).to.include({ status: 'error', field: 'op_id' });
      const [wrong] = await push({ ...updateItem(newId('wrong'), { title: 'T' }), if_seq: -1 });
      expect(wrong).to.include({ status: 'error', field: 'if_seq' });
    });
  });
}

describe('a trigger', () => {
  it('tells what a batch would: code, merged and fields', async () => {
    const env = { CONFLICT_STRATEGY: 'merge' };
    const system = await startSystem(import.meta.url, { workers: 0, env });
    const id = newId('t');
    const items = [
      createItem(id, { updated_at: at(0) }),
      updateItem(id, { completed: true, updated_at: at(20) }),
      updateItem(id, { completed: false, title: 'Late', updated_at: at(10) }, laptop),
      onlyAt(99, updateItem(id, { title: 'Guarded', updated_at: at(30) })),
    ];
    await system.push(items, {}, { prefer: 'respond-async' });
    const triggering = system.request('POST', '/api/sync/trigger', undefined, { prefer: 'wait=30' });
    await system.startWorker();
    const { results } = (await triggering).body;
    const fields = { completed: 'kept_server', title: 'applied' };
    expect(results[2]).to.deep.include({ status: 'success', merged: true, fields });
    expect(results[3]).to.include({ status: 'conflict', code: 'precondition_failed' });
    const queued = (await system.request('GET', '/api/sync/queue?status=synced')).body;
    expect(queued.map((item: { fields: object }) => item.fields)).to.deep.equal([null, null, fields, null]);
    await system.stop();
  });
});
