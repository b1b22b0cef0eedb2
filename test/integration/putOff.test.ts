// I5: an operation that waits for its next attempt is not overtaken by those behind it on its task, and what depends on a create that has
// failed is kept with it. The database's faults are raised by triggers.
import { expect } from 'chai';
import { v7 as newUuid } from 'uuid';
import { applyPending } from '../../src/storage/applyPending.js';
import { readParts } from '../../src/storage/finishBatches.js';
import { CONFLICT_STRATEGIES } from '../../src/sync/merge.js';
import { refuseTitles } from '../support/faults.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { type Answer, eventually, type System, startSystem } from '../support/system.js';

const async = { prefer: 'respond-async' };
const patient = { prefer: 'wait=20' };
/** Of an operation alone: in the retry policy's tables this code does not stand. */
const UNKNOWN = 'XX000';

const statusesOf = ({ body }: Answer) => body.processed_items.map(({ status }: { status: string }) => status);
/** Of a create behind which two stand: the three, two of them, and twice the create alone. */
const TWICE_ALONE = 4;

for (const strategy of CONFLICT_STRATEGIES) {
  describe(`operations behind one that is put off (${strategy})`, () => {
    let system: System;
    before(async () => {
      const env = { CONFLICT_STRATEGY: strategy, RETRY_BASE_MS: '200', RETRY_CAP_MS: '400' };
      system = await startSystem(import.meta.url, { workers: 2, env });
    });
    after(() => system.stop());

    let word = 0;
    /** A title that the database refuses from now on. */
    async function refused(times?: number) {
      word += 1;
      const title = `Refused${word}`;
      return { title, allow: await refuseTitles(system.database, title, UNKNOWN, times) };
    }

    /** Three operations on one task, of which the create cannot be applied. */
    async function threeOn(id: string, title: string): Promise<[Item, Item, Item]> {
      const second = updateItem(id, { description: 'second' });
      return [createItem(id, { title }), second, updateItem(id, { description: 'third', completed: true })];
    }

    const batchOf = (answer: Answer) => system.request('GET', `/api/sync/batches/${answer.body.batch_id}`);
    const settled = (answer: Answer) =>
      eventually(async () => {
        const now = await batchOf(answer);
        return now.body.status === 'completed' && now;
      });
    const triggered = async () => {
      const { body } = await system.request('POST', '/api/sync/trigger', undefined, patient);
      return body.results.map(({ status }: { status: string }) => status);
    };
    const taskOf = async (id: string) => (await system.request('GET', `/api/tasks/${id}`)).body;

    it('wait for it in its batch, and end after it', async () => {
      const id = newId('task');
      const { title } = await refused(TWICE_ALONE);
      const answer = await system.push(await threeOn(id, title), {}, patient);
      expect(statusesOf(answer)).to.deep.equal(['success', 'success', 'success']);
      expect(await taskOf(id)).to.include({ title, description: 'third', completed: true });
    });

    it('wait for it in the batches after it, while other tasks go on', async () => {
      const id = newId('task');
      const { title } = await refused(2);
      const [create, second, third] = await threeOn(id, title);
      const first = await system.push([create], {}, async);
      const beside = createItem(newId('beside'));
      const others = [await system.push([second, beside], {}, async), await system.push([third], {}, async)];
      const alone = await system.push([createItem(newId('other'))], {}, patient);
      expect(statusesOf(alone)).to.deep.equal(['success']);
      for (const answer of [first, ...others]) {
        expect(statusesOf(await settled(answer)), JSON.stringify(answer.body)).to.not.include('not_found');
      }
      expect(await taskOf(id)).to.include({ title, description: 'third', completed: true });
      const order = await system.database.select<{ opId: string }>(
        'SELECT op_id AS "opId" FROM sync_queue WHERE task_id = $1 ORDER BY seq',
        [id],
      );
      expect(order.map(({ opId }) => opId)).to.deep.equal([create, second, third].map((item) => item.op_id));
    });

    it('wait for an update as for a create, with their preconditions', async () => {
      const id = newId('task');
      const [created] = (await system.push([createItem(id)])).body.processed_items;
      const { title } = await refused(TWICE_ALONE);
      const { seq } = created.resolved_data;
      const answer = await system.push(
        [updateItem(id, { title }), { ...updateItem(id, { description: 'seen' }), if_seq: seq }, deleteItem(id)],
        {},
        patient,
      );
      const [first, second, third] = answer.body.processed_items;
      expect(first.status).to.equal('success');
      expect(second).to.include({ status: 'conflict', code: 'precondition_failed' });
      expect(third.status).to.equal('success');
      expect(third.resolved_data).to.include({ title, deleted: true });
    });

    it('fail with a create that fails, also when they come later, and are tried again after it, in order', async () => {
      const id = newId('task');
      const { title, allow } = await refused();
      const [create, second, third] = await threeOn(id, title);
      const first = await system.push([create, second], {}, patient);
      const [failed, dependent] = first.body.processed_items;
      expect([failed.status, dependent.status]).to.deep.equal(['error', 'error']);
      expect(failed.code).to.equal(undefined);
      expect(dependent).to.include({ code: 'depends_on_failed' }).and.not.have.property('field');
      const createId = await idOf(create);
      expect(dependent.message).to.include(`it depends on operation ${createId}, the create of its task`);
      const later = await system.push([third, deleteItem(id), createItem(newId('beside'))], {}, patient);
      expect(statusesOf(later)).to.deep.equal(['error', 'error', 'success']);
      const alone = await system.request('POST', `/api/sync/queue/${await idOf(second)}/retry`, undefined, patient);
      expect(alone.body).to.include({ status: 'error', code: 'depends_on_failed' });

      await allow();
      const retried = await system.request('POST', `/api/sync/queue/${createId}/retry`, undefined, patient);
      expect(retried.body).to.include({ status: 'success' });
      expect(statusesOf(await settled(first))).to.deep.equal(['success', 'success']);
      const end = await settled(later);
      expect(statusesOf(end)).to.deep.equal(['success', 'success', 'success']);
      const { resolved_data: task } = end.body.processed_items[1];
      expect(task).to.include({ title, description: 'third', completed: true, deleted: true });
    });

    it('fail with it over again while it fails, and a trigger tries all of them in order', async () => {
      const id = newId('task');
      const { title, allow } = await refused();
      const items = await threeOn(id, title);
      const answer = await system.push(items, {}, patient);
      expect(statusesOf(answer)).to.deep.equal(['error', 'error', 'error']);
      expect(await triggered()).to.deep.equal(['error', 'error', 'error']);
      await allow();
      expect(await triggered()).to.deep.equal(['success', 'success', 'success']);
      expect(await taskOf(id)).to.include({ title, description: 'third', completed: true });
    });

    it('get their real outcome when the create is discarded', async () => {
      const id = newId('task');
      const { title, allow } = await refused();
      const items = await threeOn(id, title);
      const answer = await system.push(items, {}, patient);
      await allow();
      await system.request('DELETE', `/api/sync/queue/${await idOf(items[0])}`);
      const end = await settled(answer);
      expect(statusesOf(end)).to.deep.equal(['error', 'not_found', 'not_found']);
    });

    it('do not depend on a failed create of a task that another one has made', async () => {
      const id = newId('task');
      const { title, allow } = await refused();
      const [create, second] = await threeOn(id, title);
      expect(statusesOf(await system.push([create], {}, patient))).to.deep.equal(['error']);
      const other = createItem(id, {}, { client_id: 'laptop' });
      expect(statusesOf(await system.push([other, second], {}, patient))).to.deep.equal(['success', 'success']);
      await allow();
      await system.request('DELETE', `/api/sync/queue/${await idOf(create)}`);
    });

    it('depend on a failed create over a stub as well', async () => {
      const id = newId('task');
      await system.push([createItem(id), deleteItem(id)]);
      await system.database.select('UPDATE tasks SET stub = true WHERE id = $1', [id]);
      const { title, allow } = await refused();
      const items = await threeOn(id, title);
      const answer = await system.push(items, {}, patient);
      expect(answer.body.processed_items[1]).to.include({ status: 'error', code: 'depends_on_failed' });
      await allow();
      await system.request('POST', `/api/sync/queue/${await idOf(items[0])}/retry`, undefined, patient);
      expect(statusesOf(await settled(answer))).to.deep.equal(['success', 'success', 'success']);
    });

    async function idOf(item: Item): Promise<number> {
      const [row] = await system.database.select<{ id: number }>('SELECT id FROM sync_queue WHERE op_id = $1', [
        item.op_id,
      ]);
      return row?.id ?? 0;
    }
  });
}

describe('what waits behind a put-off operation', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
  });
  after(() => system.stop());

  const NOW = '2027-03-01T12:00:00.000000Z';
  const DUE = '2027-03-01T12:00:20.000000Z';
  const apply = (now: string, limit = 500) =>
    applyPending(system.database, {
      workspaceId: 'default',
      upTo: Number.MAX_SAFE_INTEGER,
      limit,
      now: () => now,
      newServerId: newUuid,
    });

  it('makes its job come back when that one is due, not at once', async () => {
    const id = newId('task');
    await system.push([createItem(id)], {}, async);
    await system.database.select('UPDATE sync_queue SET next_attempt_at = $1::timestamptz', [DUE]);
    const behind = await system.push([updateItem(id, { title: 'behind' })], {}, async);
    const [row] = await system.database.select<{ id: number }>('SELECT max(id) AS id FROM sync_queue', []);
    const at = row?.id ?? 0;
    const part = { batchId: behind.body.batch_id, firstId: at, lastId: at };
    expect((await apply(NOW)).settled).to.equal(0);
    const [waits] = await readParts(system.database, 'default', [part], NOW);
    expect(waits).to.include({ pending: 1, nextAttemptAt: DUE });
    const [due] = await readParts(system.database, 'default', [part], DUE);
    expect(due).to.include({ pending: 1, nextAttemptAt: null });
    expect((await apply(DUE)).settled).to.equal(2);
  });

  it('holds up nothing else, whatever the limit of a transaction (I5)', async () => {
    const held = newId('held');
    await system.push([createItem(held)], {}, async);
    await system.database.select("UPDATE sync_queue SET next_attempt_at = $1::timestamptz WHERE status = 'pending'", [
      DUE,
    ]);
    const behind = Array.from({ length: 20 }, (_, n) => updateItem(held, { title: `behind ${n}` }));
    await system.push([...behind, createItem(newId('free')), createItem(newId('free'))], {}, async);
    const first = await apply(NOW, 1);
    const second = await apply(NOW, 1);
    expect([first.settled, second.settled]).to.deep.equal([1, 1]);
    expect((await apply(NOW, 1)).settled).to.equal(0);
    expect((await apply(DUE)).outcomes).to.deep.equal({ success: 21 });
  });
});
