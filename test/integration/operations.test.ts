// GET /api/sync/operations/:id and its reapply: an edit that lost is explained, and can be written again.
import { expect } from 'chai';
import { expectProblem, expectTask, followReference, UUID_V7 } from '../support/contract.js';
import { refuseTitles } from '../support/faults.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';

const SERVER_TIME = '2027-03-01T12:00:00.000000Z';
const at = (minute: number) => `2027-03-01T10:${minute}:00.000000Z`;
const PHONE = { client_id: 'phone-1' };
const LAPTOP = { client_id: 'laptop-2' };

describe('one operation', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { nowMs: () => Date.parse(SERVER_TIME) });
  });
  after(() => system.stop());

  const operation = (id: number | string) => system.request('GET', `/api/sync/operations/${id}`);
  const reapply = (id: number | string) => system.request('POST', `/api/sync/operations/${id}/reapply`);
  const history = async (taskId: string) => (await system.request('GET', `/api/tasks/${taskId}/history`)).body;
  const idOf = async (item: Item): Promise<number> => {
    const entries: { op_id: string; id: number }[] = await history(String(item.data.id));
    return entries.find((entry) => entry.op_id === item.op_id)?.id ?? 0;
  };

  /** A task of 10:20 that laptop-2 renamed at 10:30, and an edit of phone-1 that is too late. */
  async function loseEdit(taskId: string, late: Item, envelope = {}) {
    const winner = updateItem(taskId, { title: 'Buy oat milk', updated_at: at(30) }, LAPTOP);
    await system.push([createItem(taskId, { title: 'Milk', updated_at: at(20) }), winner]);
    const { body } = await system.push([late], envelope);
    expect(body.processed_items[0].status).to.equal('conflict');
    return { winner, batchId: body.batch_id, id: await idOf(late) };
  }

  describe('explained', () => {
    it('is a history entry, its batch, its clock, what it lost to, and a sentence', async () => {
      const taskId = newId('task');
      const late = updateItem(taskId, { title: 'Buy milk', updated_at: '2027-03-01T11:05:00.000000Z' }, PHONE);
      const fast = { client_timestamp: '2027-03-01T12:40:00.000Z' };
      const { id, winner, batchId } = await loseEdit(taskId, late, fast);
      const { status, body } = await operation(id);
      expect(status).to.equal(200);
      const [entry] = await history(taskId);
      const lostTo = { client_id: 'laptop-2', op_id: winner.op_id, updated_at: at(30) };
      expect(entry).to.deep.include({ id, status: 'conflict', lost_to: { ...lostTo, title: 'Buy oat milk' } });
      expect(body).to.deep.equal({
        ...entry,
        task_id: taskId,
        batch_id: batchId,
        client_time: '2027-03-01T11:05:00.000000Z',
        updated_at: at(25),
        retry_count: 0,
        max_retries: 3,
        last_attempted_at: SERVER_TIME,
        clock: { skew_ms: 2_400_000, adjusted_ms: -2_400_000 },
        winner: { ...lostTo, operation: 'update', data: { title: 'Buy oat milk' } },
        explanation:
          "'Buy milk' from phone-1 at 10:25 lost to 'Buy oat milk' from laptop-2 at 10:30, because later writes win; phone-1's clock was 40 min ahead and was corrected.",
      });
    });

    it('knows the winner but not what it wrote, once that has left the log', async () => {
      const taskId = newId('task');
      const { id, winner } = await loseEdit(taskId, deleteItem(taskId, { updated_at: at(25) }, PHONE));
      await system.database.select('DELETE FROM sync_queue WHERE op_id = $1', [winner.op_id]);
      const { body } = await operation(id);
      const lostTo = { client_id: 'laptop-2', op_id: winner.op_id, updated_at: at(30) };
      expect(body).to.deep.include({ winner: { ...lostTo, operation: null, data: null }, clock: null });
      expect(body.explanation).to.equal(
        "The delete of 'Buy oat milk' from phone-1 at 10:25 lost to a write from laptop-2 at 10:30, because later writes win.",
      );
    });

    it('is a winner that brought a deleted task back, or a direct write', async () => {
      const taskId = newId('task');
      const back = updateItem(taskId, { title: 'Back', updated_at: at(40) }, PHONE);
      await system.push([createItem(taskId, { updated_at: at(20) }), deleteItem(taskId, { updated_at: at(30) }), back]);
      const { body } = await operation(await idOf(back));
      expect(body).to.include({ status: 'success', brought_back: true, winner: null, clock: null });
      expect(body.explanation).to.equal(
        "'Back' from phone-1 at 10:40 brought the deleted task back, because it is later than the delete.",
      );
      await system.request('PATCH', `/api/tasks/${taskId}`, { completed: true });
      const [direct] = await history(taskId);
      const written = (await operation(direct.id)).body;
      expect(written).to.include({ client_id: 'server', batch_id: null, client_time: null, clock: null });
      expect(written.explanation).to.equal("The edit of 'Back' (completed: yes) from server at 12:00 was applied.");
    });

    it('tells a time that lay in the future', async () => {
      const create = createItem(newId('task'), { title: 'Soon', updated_at: '2027-03-01T12:10:00Z' }, PHONE);
      await system.push([create]);
      const { body } = await operation(await idOf(create));
      expect(body).to.deep.include({
        client_time: '2027-03-01T12:10:00Z',
        clock: { skew_ms: null, adjusted_ms: -600_000 },
      });
      expect(body.explanation).to.match(
        /; the time that phone-1 gave lay 10 min in the future and was set to the server's\.$/,
      );
    });

    it('tells what failed, and what found no task', async () => {
      const allow = await refuseTitles(system.database, 'Explained', '22000');
      const refused = createItem(newId('task'), { title: 'Explained', updated_at: at(25) }, PHONE);
      const lonely = updateItem(newId('nowhere'), { title: 'Lonely', updated_at: at(25) }, PHONE);
      await system.push([refused, lonely]);
      await allow();
      const { body } = await operation(await idOf(refused));
      expect(body).to.include({ status: 'error', applied_at: null, last_attempted_at: SERVER_TIME, winner: null });
      expect(body.explanation).to.equal(
        "'Explained' from phone-1 at 10:25 cannot be applied as it is and is kept; the error was: refused: Explained.",
      );
      expect((await operation(await idOf(lonely))).body.explanation).to.equal(
        `'Lonely' from phone-1 at 10:25 changed nothing, because there was no task with the id '${lonely.data.id}'.`,
      );
    });
  });

  describe('reapplied', () => {
    it('writes its values as a new operation of now', async () => {
      const taskId = newId('task');
      const values = { title: 'Buy milk', description: 'two', color: 'white' };
      const { id } = await loseEdit(taskId, updateItem(taskId, { ...values, updated_at: at(25) }, PHONE));
      const answer = await reapply(id);
      expect(answer.status).to.equal(201);
      expect(answer.body).to.have.all.keys('status', 'operation_id', 'task');
      expect(answer.body.status).to.equal('reapplied');
      expectTask(answer.body.task);
      const written = { title: 'Buy milk', description: 'two' };
      expect(answer.body.task).to.include({ id: taskId, ...written, updated_by: 'server' });
      expect(answer.body.task.updated_at > SERVER_TIME, 'now, and later than all before').to.equal(true);
      const location = followReference(`/api/sync/operations/${id}/reapply`, answer.headers.get('location') ?? '');
      expect(location).to.equal(`/api/sync/operations/${answer.body.operation_id}`);
      const { body: logged } = await system.request('GET', location);
      expect(logged).to.deep.include({ client_id: 'server', operation: 'update', status: 'success', data: written });
      expect(logged).to.include({ client_time: null, op_id: answer.body.task.op_id });
      expect(logged.op_id).to.match(UUID_V7);
      expect((await operation(id)).body.status, 'the old one stays what it was').to.equal('conflict');
      const again = await reapply(id);
      expect(again.status, 'and can be written once more').to.equal(201);
      expect(again.body.operation_id).to.be.above(answer.body.operation_id);
    });

    it('is in the change feed', async () => {
      const taskId = newId('task');
      const { id } = await loseEdit(taskId, updateItem(taskId, { title: 'Fed', updated_at: at(25) }));
      const { cursor } = (await system.request('GET', '/api/sync/changes?limit=5000')).body;
      const waiting = system.request('GET', `/api/sync/changes?wait=30&cursor=${cursor}`);
      await reapply(id);
      const { body } = await waiting;
      expect(body.changes.map((task: { title: string }) => task.title)).to.deep.equal(['Fed']);
    });

    it('deletes, if a delete had lost', async () => {
      const taskId = newId('task');
      const { id } = await loseEdit(taskId, deleteItem(taskId, { updated_at: at(25) }));
      const { status, body } = await reapply(id);
      expect(status).to.equal(201);
      expect(body.task).to.include({ id: taskId, deleted: true, title: 'Buy oat milk' });
      expect((await system.request('GET', `/api/tasks/${taskId}`)).status).to.equal(404);
    });

    for (const kind of ['create', 'update'] as const) {
      it(`brings a deleted task back, if a ${kind} had lost`, async () => {
        const taskId = newId('task');
        const makeItem = kind === 'create' ? createItem : updateItem;
        const { id } = await loseEdit(taskId, makeItem(taskId, { title: 'Back', updated_at: at(25) }));
        await system.request('DELETE', `/api/tasks/${taskId}`);
        const { status, body } = await reapply(id);
        expect(status).to.equal(201);
        expect(body.task).to.include({ deleted: false, title: 'Back', completed: false });
        expect((await history(taskId))[0]).to.include({ operation: kind, brought_back: true, client_id: 'server' });
      });
    }

    it('answers 409 and changes nothing for what did not lose', async () => {
      const allow = await refuseTitles(system.database, 'Unwritten', '22000');
      const taskId = newId('task');
      const items = [
        createItem(taskId, { updated_at: at(20) }),
        createItem(newId('task'), { title: 'Unwritten' }),
        updateItem(newId('nowhere'), { title: 'x' }),
      ];
      await system.push(items);
      await allow();
      for (const item of items) {
        const id = await idOf(item);
        const before = (await operation(id)).body;
        expectProblem(await reapply(id), 409, 'not_reapplicable');
        expect((await operation(id)).body).to.deep.equal(before);
        expect(await history(String(item.data.id))).to.have.lengthOf(1);
      }
    });

    it('answers 404 once there is no task any more', async () => {
      const taskId = newId('task');
      const { id } = await loseEdit(taskId, updateItem(taskId, { title: 'x', updated_at: at(25) }));
      await system.database.select('DELETE FROM tasks WHERE id = $1', [taskId]);
      expectProblem(await reapply(id), 404, 'not_found');
      expect(await history(taskId)).to.have.lengthOf(3);
    });
  });

  for (const id of ['1000000', '0', '-1', '01', '1.5', '1e3', 'x', '9007199254740993', '99999999999999999999']) {
    it(`answers 404 to the id ${id}`, async () => {
      expectProblem(await operation(id), 404, 'not_found');
      expectProblem(await reapply(id), 404, 'not_found');
    });
  }

  it('answers 405 to other methods', async () => {
    expectProblem(await system.request('DELETE', '/api/sync/operations/1'), 405, 'method_not_allowed');
    expectProblem(await system.request('GET', '/api/sync/operations/1/reapply'), 405, 'method_not_allowed');
  });
});

describe('one operation that waits', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0, nowMs: () => Date.parse(SERVER_TIME) });
  });
  after(() => system.stop());

  it('says so, and cannot be reapplied', async () => {
    const item = createItem(newId('task'), { title: 'Waits', updated_at: at(25) }, PHONE);
    await system.push([item], {}, { prefer: 'respond-async' });
    const [{ id }] = (await system.request('GET', '/api/sync/queue')).body;
    const { body } = await system.request('GET', `/api/sync/operations/${id}`);
    expect(body).to.include({ status: 'pending', applied_at: null, last_attempted_at: null });
    expect(body.explanation).to.equal("'Waits' from phone-1 at 10:25 is stored and waits to be applied.");
    expectProblem(await system.request('POST', `/api/sync/operations/${id}/reapply`), 409, 'not_reapplicable');
  });
});
