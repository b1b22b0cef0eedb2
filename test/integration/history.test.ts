// GET /api/tasks/:id/history: what was done to a task, by whom, and what it lost to.
import { expect } from 'chai';
import { expectInvalid, expectProblem, nextPage } from '../support/contract.js';
import { createItem, deleteItem, newId, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';

const SERVER_TIME = '2027-03-01T12:00:00.000000Z';
const at = (minute: number) => `2027-03-01T10:${minute}:00.000000Z`;

interface Entry {
  id: number;
  op_id: string;
  status: string;
}

describe('the history of a task', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { nowMs: () => Date.parse(SERVER_TIME) });
  });
  after(() => system.stop());

  const pathOf = (id: string) => `/api/tasks/${encodeURIComponent(id)}/history`;
  const get = (id: string, query = '') => system.request('GET', `${pathOf(id)}${query}`);
  const opIds = (entries: Entry[]) => entries.map((entry) => entry.op_id);

  it('tells every operation, newest first: who, when, what, its outcome, and what it lost to', async () => {
    const id = newId('milk / 🥛');
    const beside = { client_id: 'laptop' };
    const create = createItem(id, { title: 'Milk', updated_at: '2027-03-01T11:20:00+01:00', color: 'white' });
    const rename = updateItem(id, { title: 'Oat milk', description: null, updated_at: at(30) }, beside);
    const lost = updateItem(id, { completed: true, updated_at: at(25) });
    const unseen = updateItem(id, { completed: true }, { client_id: 'tablet' });
    await system.push([create, rename]);
    await system.push([lost]);
    await system.push([unseen]);

    const { status, body } = await get(id);
    expect(status).to.equal(200);
    expect(opIds(body)).to.deep.equal([unseen, lost, rename, create].map((item) => item.op_id));
    const [newest, conflict, , oldest] = body;
    const received = { created_at: SERVER_TIME, applied_at: SERVER_TIME, brought_back: false };
    const succeeded = { ...received, status: 'success', message: null, lost_to: null };
    expect(oldest).to.deep.equal({
      ...succeeded,
      id: oldest.id,
      client_id: 'phone',
      op_id: create.op_id,
      operation: 'create',
      data: { title: 'Milk' },
      client_time: '2027-03-01T11:20:00+01:00',
      updated_at: at(20),
      seq: oldest.seq,
    });
    expect(newest).to.deep.include({ ...succeeded, client_time: null, seq: oldest.seq + 2 });
    expect(newest.updated_at, "the server's time, plus its place in microseconds").to.match(
      /^2027-03-01T12:00:00\.0000\d\dZ$/,
    );
    expect(conflict).to.deep.equal({
      ...received,
      id: conflict.id,
      client_id: 'phone',
      op_id: lost.op_id,
      operation: 'update',
      data: { completed: true },
      client_time: at(25),
      updated_at: at(25),
      status: 'conflict',
      seq: null,
      message: 'The task had a newer version.',
      lost_to: { client_id: 'laptop', op_id: rename.op_id, updated_at: at(30), title: 'Oat milk' },
    });
  });

  it('keeps what a conflict lost to while the task goes on changing, and when the winner leaves the log', async () => {
    const id = newId('task');
    const winner = updateItem(id, { completed: true, updated_at: at(30) });
    await system.push([
      createItem(id, { updated_at: at(20) }),
      winner,
      updateItem(id, { title: 'Late', updated_at: at(25) }),
    ]);
    await system.request('PATCH', `/api/tasks/${id}`, { title: 'Later' });
    const lostTo = { client_id: 'phone', op_id: winner.op_id, updated_at: at(30) };
    expect((await get(id)).body[1].lost_to, 'the winner set no title').to.deep.equal(lostTo);
    await system.database.select('DELETE FROM sync_queue WHERE op_id = $1', [winner.op_id]);
    expect((await get(id)).body[1].lost_to).to.deep.equal(lostTo);
  });

  it('holds direct writes, under the client `server`, and follows a task through its deletion by either id', async () => {
    const { body: task } = await system.request('POST', '/api/tasks', { title: 'Direct' });
    await system.request('DELETE', `/api/tasks/${task.id}`);
    const deleted = await get(task.id);
    expect(deleted.body.map((entry: { operation: string }) => entry.operation)).to.deep.equal(['delete', 'create']);
    for (const entry of deleted.body)
      expect(entry).to.include({ client_id: 'server', status: 'success', client_time: null });
    expect(deleted.body[0].data).to.deep.equal({});
    await system.request('PATCH', `/api/tasks/${task.id}`, { deleted: false });
    const { body } = await get(task.server_id);
    expect(body).to.have.lengthOf(3);
    expect(body.map((entry: { brought_back: boolean }) => entry.brought_back)).to.deep.equal([true, false, false]);
    expect(body.slice(1)).to.deep.equal(deleted.body);
  });

  it('tells a delete that lost, and one that won', async () => {
    const id = newId('task');
    const [late, won] = [deleteItem(id, { updated_at: at(20) }), deleteItem(id, { updated_at: at(40) })];
    const after = updateItem(id, { title: 'After', updated_at: at(39) });
    await system.push([createItem(id, { title: 'T', updated_at: at(30) }), late, won, after]);
    const { body } = await get(id);
    expect(body.map((entry: Entry) => entry.status)).to.deep.equal(['conflict', 'success', 'conflict', 'success']);
    expect(body[2]).to.deep.include({ operation: 'delete', data: {} });
    expect(body[2].lost_to).to.include({ title: 'T', updated_at: at(30) });
    expect(body[0].lost_to, 'a delete has no title').to.deep.equal({
      client_id: 'phone',
      op_id: won.op_id,
      updated_at: at(40),
    });
  });

  it('of an id that no task ever had tells the operations that did not find it', async () => {
    const id = newId('nowhere');
    await system.push([updateItem(id, { title: 'x' })]);
    const { status, body } = await get(id);
    expect(status).to.equal(200);
    expect(body).to.have.lengthOf(1);
    expect(body[0]).to.include({
      status: 'not_found',
      seq: null,
      message: 'There is no task of this id.',
      lost_to: null,
    });
  });

  it('tells a create that was in already', async () => {
    const create = createItem(newId('task'), { updated_at: at(20) });
    await system.push([create]);
    await system.database.select('DELETE FROM sync_queue WHERE op_id = $1', [create.op_id]);
    expect((await get(String(create.data.id))).body, 'a task whose log was pruned').to.deep.equal([]);
    await system.push([create]);
    const [entry] = (await get(String(create.data.id))).body;
    expect(entry).to.include({ status: 'exists', seq: null, message: 'This create was applied before.' });
  });

  it('is read page by page to its end', async () => {
    const id = newId('task');
    const items = [createItem(id), ...Array.from({ length: 6 }, (_, n) => updateItem(id, { title: `${n}` }))];
    await system.push(items);
    const wanted = items.map((item) => item.op_id).reverse();
    expect(opIds((await get(id)).body)).to.deep.equal(wanted);
    for (const limit of [1, 3, 7, 1_000]) {
      const seen: string[] = [];
      let pages = 0;
      for (let next: string | undefined = `${pathOf(id)}?limit=${limit}`; next !== undefined; pages += 1) {
        const page = await system.request('GET', next);
        seen.push(...opIds(page.body));
        next = nextPage(page, next);
        expect(pages, 'the history ends').to.be.below(20);
      }
      expect(seen).to.deep.equal(wanted);
      expect(pages).to.equal(Math.ceil(7 / limit));
    }
  });

  it('answers 404 to an id that nothing ever had, or that nothing can have', async () => {
    expectProblem(await get(newId('unknown')), 404, 'not_found');
    expectProblem(await get('019cfc00-0000-7000-8000-000000000000'), 404, 'not_found');
    expectProblem(await get('x'.repeat(129)), 404, 'not_found');
    expectProblem(await get('a\0b'), 404, 'not_found');
  });

  it('answers 405 to a write', async () => {
    expectProblem(await system.request('POST', pathOf('x'), {}), 405, 'method_not_allowed');
  });

  for (const [query, field] of [
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=x', 'limit'],
    ['cursor=', 'cursor'],
    ['cursor=nonsense', 'cursor'],
    [`cursor=${Buffer.from('["1"]').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('[1, 2]').toString('base64url')}`, 'cursor'],
  ] as const) {
    it(`answers 400 to ?${query}`, async () => expectInvalid(await get('x', `?${query}`), field));
  }
});

describe('the history of a task that waits', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0, nowMs: () => Date.parse(SERVER_TIME) });
  });
  after(() => system.stop());

  it('shows what is pending, before there is a task', async () => {
    const create = createItem(newId('task'));
    await system.push([create], {}, { prefer: 'respond-async' });
    const { status, body } = await system.request('GET', `/api/tasks/${create.data.id}/history`);
    expect(status).to.equal(200);
    expect(body).to.have.lengthOf(1);
    const waits = { status: 'pending', applied_at: null, seq: null, message: null, lost_to: null };
    expect(body[0]).to.include({ op_id: create.op_id, ...waits });
  });
});
