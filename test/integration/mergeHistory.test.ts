// What an operation lost under CONFLICT_STRATEGY=merge: the writes that won its fields, in its task's history and its explanation, and
// writing again what it lost.
import { expect } from 'chai';
import { expectProblem } from '../support/contract.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';

const SERVER_TIME = '2027-03-01T12:00:00.000000Z';
const at = (minute: number) => `2027-03-01T10:${minute}:00.000000Z`;
const LAPTOP = { client_id: 'laptop' };
const TABLET = { client_id: 'tablet' };
const told = ({ client_id, op_id, data }: Item) => ({ client_id, op_id, updated_at: data.updated_at });

describe('what an operation lost under strategy merge', () => {
  let system: System;
  before(async () => {
    const env = { CONFLICT_STRATEGY: 'merge' };
    system = await startSystem(import.meta.url, { env, nowMs: () => Date.parse(SERVER_TIME) });
  });
  after(() => system.stop());

  /** A task from 10:20, named by the laptop at 10:40 and completed by the tablet at 10:50; then what is pushed late. */
  async function pushLate(...late: Item[]) {
    const id = String(late[0]?.data.id);
    const named = updateItem(id, { title: 'Oat milk', updated_at: at(40) }, LAPTOP);
    const done = updateItem(id, { completed: true, updated_at: at(50) }, TABLET);
    await system.push([createItem(id, { title: 'Milk', updated_at: at(20) }), named, done]);
    const { body } = await system.push(late);
    const [entry] = (await system.request('GET', `/api/tasks/${id}/history`)).body;
    const explained = await system.request('GET', `/api/sync/operations/${entry.id}`);
    return { id, named, done, entry, explained: explained.body, result: body.processed_items.at(-1) };
  }
  const reapply = (id: number) => system.request('POST', `/api/sync/operations/${id}/reapply`);

  it('a conflict names the write that has its field, though the task had a later one', async () => {
    const { named, entry, explained } = await pushLate(updateItem(newId('t'), { title: 'Late', updated_at: at(30) }));
    expect(entry.lost_to).to.deep.equal({ ...told(named), title: 'Oat milk' });
    expect(entry).to.include({ status: 'conflict' }).and.not.have.any.keys('lost_to_by_field', 'fields');
    expect(explained.winner).to.deep.equal({ ...told(named), operation: 'update', data: { title: 'Oat milk' } });
    expect(explained).to.not.have.property('winner_by_field');
    expect(explained.explanation).to.equal(
      "'Late' from phone at 10:30 lost to 'Oat milk' from laptop at 10:40, because later writes win.",
    );
  });

  it('a conflict in fields of two writes names both', async () => {
    const late = updateItem(newId('t'), { title: 'Late', completed: false, updated_at: at(30) });
    const { named, done, entry, explained } = await pushLate(late);
    expect(entry.lost_to, 'the later one').to.deep.equal(told(done));
    const byField = { title: { ...told(named), title: 'Oat milk' }, completed: told(done) };
    expect(entry.lost_to_by_field).to.deep.equal(byField);
    expect(explained).to.deep.include({ lost_to_by_field: byField });
    expect(explained.winner_by_field).to.deep.equal({
      title: { ...told(named), operation: 'update', data: { title: 'Oat milk' } },
      completed: { ...told(done), operation: 'update', data: { completed: true } },
    });
    expect(explained.explanation).to.equal(
      "'Late' from phone at 10:30 lost to 'Oat milk' from laptop at 10:40 (title) and to the edit of 'Oat milk' (completed: yes) from tablet at 10:50, because later writes win.",
    );
  });

  it('a success in part names who kept the rest, and goes on doing so when the winner has left the log', async () => {
    const late = updateItem(newId('t'), { title: 'Late', description: 'd', updated_at: at(30) });
    const { named, entry, explained, result } = await pushLate(late);
    const fields = { title: 'kept_server', description: 'applied' };
    expect(result).to.deep.include({ status: 'success', merged: true, fields });
    expect(entry).to.deep.include({ fields, lost_to: { ...told(named), title: 'Oat milk' } });
    expect(explained.winner).to.include({ op_id: named.op_id, operation: 'update' });
    expect(explained.explanation).to.equal(
      "'Late' from phone at 10:30 was applied in part (description) and lost to 'Oat milk' from laptop at 10:40 (title), because later writes win.",
    );
    await system.database.select('DELETE FROM sync_queue WHERE op_id = $1', [named.op_id]);
    const { body } = await system.request('GET', `/api/sync/operations/${entry.id}`);
    expect(body.winner).to.deep.equal({ ...told(named), operation: null, data: null });
    expect(body.explanation).to.include('lost to a write from laptop at 10:40 (title)');
  });

  it('a success in part with two winners, of which one has left the log', async () => {
    const id = newId('t');
    const late = updateItem(id, { title: 'Late', description: 'd', completed: false, updated_at: at(30) });
    const { named, done, entry } = await pushLate(late);
    expect(entry.lost_to_by_field).to.have.all.keys('title', 'completed');
    await system.database.select('DELETE FROM sync_queue WHERE op_id = $1', [named.op_id]);
    const { body } = await system.request('GET', `/api/sync/operations/${entry.id}`);
    expect(body.winner_by_field.title).to.deep.equal({ ...told(named), operation: null, data: null });
    expect(body.winner_by_field.completed).to.deep.include({ ...told(done), data: { completed: true } });
  });

  it('an edit from before the delete lost to the delete', async () => {
    const id = newId('t');
    const gone = deleteItem(id, { updated_at: at(55) }, LAPTOP);
    const { entry, explained } = await pushLate(gone, updateItem(id, { description: 'd', updated_at: at(52) }));
    expect(entry).to.deep.include({ fields: { description: 'applied', deleted: 'kept_server' }, lost_to: told(gone) });
    expect(explained.explanation).to.equal(
      "The edit of 'Oat milk' (description) from phone at 10:52 was applied in part (description) and lost to the delete of 'Oat milk' from laptop at 10:55, because later writes win.",
    );
    const restored = await reapply(entry.id);
    expect(restored.status, 'writes again that the task is there').to.equal(201);
    expect(restored.body.task).to.include({ deleted: false, title: 'Oat milk', description: 'd' });
  });

  it('what was lost in part is written again, and what was applied is not', async () => {
    const late = updateItem(newId('t'), { title: 'Late', description: 'd', updated_at: at(30) });
    const { id, entry } = await pushLate(late);
    await system.push([updateItem(id, { description: 'later', updated_at: at(58) }, LAPTOP)]);
    const { status, body } = await reapply(entry.id);
    expect(status).to.equal(201);
    expect(body.task).to.include({ title: 'Late', description: 'later', completed: true, updated_by: 'server' });
    const written = await system.request('GET', `/api/sync/operations/${body.operation_id}`);
    expect(written.body).to.deep.include({ data: { title: 'Late' }, lost_to: null });
    expectProblem(await reapply(body.operation_id), 409, 'not_reapplicable');
  });
});
