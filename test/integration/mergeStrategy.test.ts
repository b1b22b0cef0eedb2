// CONFLICT_STRATEGY=merge over HTTP: what results look like, what is stored of them, and switching the strategy on a live database.
import { expect } from 'chai';
import { v7 as newUuid } from 'uuid';
import { applyPending } from '../../src/storage/applyPending.js';
import { expectBatch } from '../support/contract.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { eventually, type System, startSystem } from '../support/system.js';

const at = (minute: number) => `2026-01-31T10:${String(minute).padStart(2, '0')}:00.000000Z`;
const laptop = { client_id: 'laptop' };

describe('conflict strategy merge', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { env: { CONFLICT_STRATEGY: 'merge', RETRY_CAP_MS: '3600000' } });
  });
  after(() => system.stop());

  async function push(...items: Item[]) {
    const answer = await system.push(items);
    expectBatch(answer, 200);
    return answer.body.processed_items;
  }

  it('two devices that edited different fields both keep their edit', async () => {
    const id = newId('both');
    await push(createItem(id, { title: 'Buy milk', updated_at: at(0) }));
    await push(updateItem(id, { completed: true, updated_at: at(30) }));
    const [late] = await push(updateItem(id, { title: 'Buy oat milk', updated_at: at(20) }, laptop));
    expect(late.status).to.equal('success');
    expect(late).to.not.have.any.keys('merged', 'fields', 'message');
    expect(late.resolved_data).to.include({ title: 'Buy oat milk', completed: true });
    expect(late.resolved_data).to.include({ updated_at: at(30), updated_by: 'phone' });
  });

  it('says which fields were applied and which the server kept, also when it is asked again', async () => {
    const id = newId('partly');
    await push(createItem(id, { title: 'Buy milk', updated_at: at(0) }));
    await push(updateItem(id, { completed: true, updated_at: at(30) }));
    const item = updateItem(id, { title: 'Buy oat milk', completed: false, updated_at: at(20) }, laptop);
    const answer = await system.push([item]);
    expectBatch(answer, 200);
    const [result] = answer.body.processed_items;
    const fields = { title: 'applied', completed: 'kept_server' };
    expect(result).to.deep.include({ status: 'success', merged: true, fields });
    expect(result.message).to.match(/newer edits of some fields/);
    expect(result.resolved_data).to.include({ title: 'Buy oat milk', completed: true });
    expect(answer.body.summary).to.include({ success: 1, conflict: 0 });
    const again = await system.request('GET', `/api/sync/batches/${answer.body.batch_id}`);
    expect(again.body.processed_items).to.deep.equal([result]);
    const [resent] = await push(item);
    expect(resent).to.deep.include({ status: 'success', duplicate: true, merged: true, fields });
  });

  it('an edit from before the delete is kept in the tombstone, and is there when the task comes back', async () => {
    const id = newId('deleted');
    await push(createItem(id, { updated_at: at(0) }), deleteItem(id, { updated_at: at(30) }));
    const [kept, lost, back] = await push(
      updateItem(id, { title: 'Kept', updated_at: at(20) }, laptop),
      updateItem(id, { title: 'Lost', updated_at: at(10) }, laptop),
      updateItem(id, { completed: true, updated_at: at(40) }, laptop),
    );
    expect(kept).to.deep.include({ status: 'success', fields: { title: 'applied', deleted: 'kept_server' } });
    expect(lost.status).to.equal('conflict');
    expect(lost).to.not.have.any.keys('merged', 'fields', 'code');
    expect(back.status).to.equal('success');
    expect(back.resolved_data).to.include({ title: 'Kept', completed: true, deleted: false });
  });

  it('a create that came second tells that the task is older, though it loses', async () => {
    const id = newId('twice');
    await push(createItem(id, { title: 'Later', updated_at: at(20) }));
    const [second] = await push(createItem(id, { title: 'Earlier', updated_at: at(10) }, laptop));
    expect(second.status).to.equal('conflict');
    expect(second.resolved_data).to.include({ title: 'Later', created_at: at(10), updated_at: at(20) });
  });

  it('a direct write wins in the fields it writes, and in no others', async () => {
    const id = newId('direct');
    const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
    await push(createItem(id, { updated_at: at(0) }));
    const patched = await system.request('PATCH', `/api/tasks/${id}`, { completed: true });
    expect(patched.body).to.include({ completed: true, updated_by: 'server' });
    const sent = updateItem(id, { title: 'Earlier, offline', completed: false, updated_at: hourAgo });
    const [result] = await push(sent);
    expect(result.fields).to.deep.equal({ title: 'applied', completed: 'kept_server' });
    await system.request('PUT', `/api/tasks/${id}`, { title: 'All three' });
    const [lost] = await push(updateItem(id, { description: 'late', completed: true, updated_at: hourAgo }, laptop));
    expect(lost.status).to.equal('conflict');
    const read = (await system.request('GET', `/api/tasks/${id}`)).body;
    expect(read).to.include({ title: 'All three', description: null, completed: false });
    expect(read).to.not.have.any.keys('field_versions', 'fieldVersions');
  });

  it('can be switched: lww forgets the versions of fields that it overwrites, merge goes on from there', async () => {
    const id = newId('switched');
    await push(
      createItem(id, { title: 'T', updated_at: at(0) }),
      updateItem(id, { completed: true, updated_at: at(30) }),
    );
    expect(Object.keys((await versionsOf(id)) ?? {})).to.have.members(['title', 'description']);
    await applyAs('lww', updateItem(id, { title: 'By lww', updated_at: at(40) }), 'success');
    expect(await versionsOf(id)).to.equal(null);
    await applyAs('lww', updateItem(id, { description: 'too late', updated_at: at(35) }), 'conflict');
    const [older, newer] = await push(
      updateItem(id, { description: 'too late', updated_at: at(35) }, laptop),
      updateItem(id, { description: 'in time', updated_at: at(45) }, laptop),
    );
    expect([older.status, newer.status]).to.deep.equal(['conflict', 'success']);
    expect(newer.resolved_data).to.include({ title: 'By lww', description: 'in time', completed: true });
  });

  async function versionsOf(id: string) {
    const [row] = await system.database.select<{ versions: object | null }>(
      'SELECT field_versions AS versions FROM tasks WHERE id = $1',
      [id],
    );
    return row?.versions;
  }

  /** Applies an item as a worker of that strategy does. It is made pending under the lock, where no worker can take it first. */
  async function applyAs(strategy: 'lww' | 'merge', item: Item, outcome: string) {
    const held = await system.database.sequelize.transaction();
    const sql = "SELECT id FROM workspaces WHERE id = 'default' FOR UPDATE";
    await system.database.select(sql, [], held);
    const answer = await system.push([item], {}, { prefer: 'respond-async' });
    expect(answer.status).to.equal(202);
    await system.database.select(
      "UPDATE sync_queue SET next_attempt_at = now() + interval '1 hour' WHERE op_id = $1 RETURNING id",
      [item.op_id],
      held,
    );
    await held.commit();
    const applied = await eventually(async () => {
      const request = { workspaceId: 'default', upTo: Number.MAX_SAFE_INTEGER, limit: 500, newServerId: newUuid };
      const now = () => new Date(Date.now() + 7_200_000).toISOString().replace('Z', '000Z');
      const result = await applyPending(system.database, { ...request, strategy, now });
      return result.settled > 0 && result;
    });
    expect(applied.outcomes).to.deep.equal({ [outcome]: 1 });
  }
});
