// POST /api/sync/queue/:id/retry and DELETE /api/sync/queue/:id: a failed operation is tried again, or discarded.
import { expect } from 'chai';
import { expectProblem } from '../support/contract.js';
import { refuseTitles } from '../support/faults.js';
import { createItem, type Item, newId, updateItem } from '../support/operations.js';
import { eventually, type System, startSystem } from '../support/system.js';

const PERMANENT = '22000';
const UNKNOWN = 'XX000';
const RESULT_KEYS = ['sync_item_id', 'task_id', 'operation', 'status', 'server_id', 'resolved_data'];

describe('a failed item', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  const retry = (id: number | string, headers = {}) =>
    system.request('POST', `/api/sync/queue/${id}/retry`, undefined, headers);
  const discard = (id: number | string) => system.request('DELETE', `/api/sync/queue/${id}`);
  const list = async (status: string) =>
    (await system.request('GET', `/api/sync/queue?status=${status}&limit=1000`)).body;
  const itemOf = async (item: Item, status: string) =>
    (await list(status)).find((each: { op_id: string }) => each.op_id === item.op_id);

  /** A task whose renaming to `word` is refused. */
  async function fail(word: string, sqlState = PERMANENT) {
    const allow = await refuseTitles(system.database, word, sqlState);
    const taskId = newId('task');
    const item = updateItem(taskId, { title: word });
    await system.push([createItem(taskId, { title: 'good' })]);
    const { body } = await system.push([item], {}, { prefer: 'wait=30' });
    expect(body.processed_items[0].status).to.equal('error');
    const failed = await itemOf(item, 'failed');
    return { allow, taskId, item, failed, batchId: body.batch_id };
  }

  describe('retried', () => {
    it('is applied once it can be, and answered like one result of a trigger', async () => {
      const { allow, failed, taskId } = await fail('Retried');
      const refused = await retry(failed.id);
      expect(refused.status).to.equal(200);
      expect(refused.body).to.have.all.keys([...RESULT_KEYS, 'message']);
      expect(refused.body).to.include({ sync_item_id: failed.id, task_id: taskId, status: 'error' });
      expect(refused.body.message).to.include(`POST /api/sync/queue/${failed.id}/retry tries it again`);
      await allow();
      const { status, body } = await retry(failed.id);
      expect(status).to.equal(200);
      expect(body).to.have.all.keys(RESULT_KEYS);
      expect(body).to.include({ sync_item_id: failed.id, task_id: taskId, operation: 'update', status: 'success' });
      expect(body.resolved_data).to.include({ title: 'Retried', sync_status: 'synced' });
      expectProblem(await retry(failed.id), 409, 'not_failed');
    });

    it('leaves other failed items alone, and has fresh retries', async () => {
      const other = await fail('Other', UNKNOWN);
      const { failed, item } = await fail('Fresh', UNKNOWN);
      expect(failed).to.include({ retry_count: 3, max_retries: 3 });
      const { body } = await retry(failed.id, { prefer: 'wait=30' });
      expect(body.status).to.equal('error');
      const again = await itemOf(item, 'failed');
      expect(again, 'three fresh ones are used up').to.include({ id: failed.id, retry_count: 3 });
      expect(again.last_attempted_at > failed.last_attempted_at).to.equal(true);
      expect(await itemOf(other.item, 'failed')).to.deep.equal(other.failed);
      const { explanation } = (await system.request('GET', `/api/sync/operations/${failed.id}`)).body;
      expect(explanation).to.match(
        /could not be applied in 3 tries and is kept; the last error was: refused: Fresh\.$/,
      );
    });
  });

  describe('discarded', () => {
    it('is gone, its task is synced again, and sent again it is a new operation', async () => {
      const { allow, failed, taskId, item, batchId } = await fail('Discarded');
      const { status, body } = await discard(failed.id);
      expect(status).to.equal(200);
      expect(body).to.deep.equal({ status: 'discarded', item: failed });
      expect(await itemOf(item, 'failed')).to.equal(undefined);
      expect((await system.request('GET', `/api/tasks/${taskId}`)).body).to.include({
        title: 'good',
        sync_status: 'synced',
      });
      expectProblem(await discard(failed.id), 404, 'not_found');
      expectProblem(await retry(failed.id), 404, 'not_found');
      expectProblem(await system.request('GET', `/api/sync/operations/${failed.id}`), 404, 'not_found');
      const batch = await system.request('GET', `/api/sync/batches/${batchId}`);
      expect(batch.body.processed_items[0]).to.include({ status: 'error', op_id: item.op_id });

      await allow();
      const [result] = (await system.push([item])).body.processed_items;
      expect(result).to.include({ status: 'success' }).and.not.have.property('duplicate');
      expect((await itemOf(item, 'synced')).id).to.be.above(failed.id);
    });

    it('waits for whoever writes in its workspace', async () => {
      const { failed, item } = await fail('Locked');
      const discarding = await system.database.transaction(async (transaction) => {
        await system.database.select("SELECT id FROM workspaces WHERE id = 'default' FOR UPDATE", [], transaction);
        const answer = discard(failed.id);
        await eventually(async () => {
          const [blocked] = await system.database.select<{ count: number }>(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            [],
          );
          return blocked?.count === 1;
        });
        expect(await itemOf(item, 'failed')).to.deep.equal(failed);
        return { answer };
      });
      expect((await discarding.answer).status).to.equal(200);
    });
  });

  it('is neither retried nor discarded when it did not fail: 409, nothing changed', async () => {
    const item = createItem(newId('task'));
    await system.push([item]);
    const settled = await itemOf(item, 'synced');
    expectProblem(await retry(settled.id), 409, 'not_failed');
    expectProblem(await discard(settled.id), 409, 'not_failed');
    expect(await itemOf(item, 'synced')).to.deep.equal(settled);
  });

  for (const id of ['1000000', '0', '-1', '1.5', 'x', '9007199254740993']) {
    it(`answers 404 to the id ${id}`, async () => {
      expectProblem(await retry(id), 404, 'not_found');
      expectProblem(await discard(id), 404, 'not_found');
    });
  }

  it('answers 405 to other methods', async () => {
    const answer = await system.request('GET', '/api/sync/queue/1');
    expectProblem(answer, 405, 'method_not_allowed');
    expect(answer.headers.get('allow')).to.equal('DELETE, OPTIONS');
    expectProblem(await system.request('GET', '/api/sync/queue/1/retry'), 405, 'method_not_allowed');
  });
});

describe('an item that waits', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
  });
  after(() => system.stop());

  it('is neither retried nor discarded: 409', async () => {
    await system.push([createItem(newId('task'))], {}, { prefer: 'respond-async' });
    const { body } = await system.request('GET', '/api/sync/queue');
    const path = `/api/sync/queue/${body[0].id}`;
    expectProblem(await system.request('POST', `${path}/retry`), 409, 'not_failed');
    expectProblem(await system.request('DELETE', path), 409, 'not_failed');
    expect((await system.request('GET', '/api/sync/queue')).body).to.deep.equal(body);
  });

  it('is pending in the answer to a retry that does not wait', async () => {
    const item = createItem(newId('task'));
    await system.push([item], {}, { prefer: 'respond-async' });
    const [failed] = await system.database.select<{ id: number }>(
      "UPDATE sync_queue SET status = 'failed', error = 'why', retry_count = 3 WHERE op_id = $1 RETURNING id",
      [item.op_id],
    );
    const answer = await system.request('POST', `/api/sync/queue/${failed?.id}/retry`, {}, { prefer: 'respond-async' });
    expect(answer.status).to.equal(200);
    expect(answer.headers.get('preference-applied')).to.equal('respond-async');
    expect(answer.body).to.include({ sync_item_id: failed?.id, status: 'pending', resolved_data: null });
    expect(answer.body, 'its error is forgotten').to.not.have.property('message');
  });
});
