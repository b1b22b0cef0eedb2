// A refused item brings the task that it names (I10): a device that showed the edit already gets back what to show instead.
import { once } from 'node:events';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { expectBatch } from '../support/contract.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { onStatement } from '../support/statements.js';
import { type Answer, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const TOO_LONG = 't'.repeat(1_001);

/** What a device can get wrong about a task whose id is right. */
const REFUSED: Record<string, (id: string) => unknown> = {
  'a title of 1,001 characters': (id) => updateItem(id, { title: TOO_LONG }),
  'a blank title': (id) => updateItem(id, { title: '  ' }),
  'a create with a blank title': (id) => createItem(id, { title: '' }),
  'a description that is a number': (id) => updateItem(id, { description: 7 }),
  'a time that is none': (id) => updateItem(id, { title: 'x', updated_at: 'yesterday' }),
  'a delete with a time that is none': (id) => deleteItem(id, { updated_at: 'infinity' }),
  'NUL in a field': (id) => updateItem(id, { title: 'a\0b' }),
  'an if_seq that is none': (id) => ({ ...updateItem(id, { title: 'x' }), if_seq: -1 }),
  'no client_id': (id) => ({ ...updateItem(id, { title: 'x' }), client_id: undefined }),
  'an op_id that is a number': (id) => ({ ...updateItem(id, { title: 'x' }), op_id: 7 }),
  'an unknown operation': (id) => ({ ...updateItem(id, { title: 'x' }), operation: 'upsert' }),
  'the id beside data, which is none': (id) => ({ client_id: 'c', op_id: 'o', operation: 'update', task_id: id }),
};

describe('a refused item', () => {
  let system: System;
  before(async () => {
    system = await withQueue(startSystem(import.meta.url));
  });
  after(() => system.stop());

  async function settle(items: unknown[]) {
    const answer = await system.push(items);
    expectBatch(answer, 200);
    const read = await system.request('GET', `/api/sync/batches/${answer.body.batch_id}`);
    expect(read.body.processed_items, 'as GET shows it').to.deep.equal(answer.body.processed_items);
    return answer.body;
  }

  /** A task that is on the server. @returns as the server has it, and the cursor at which it is visible */
  async function makeTask(...items: Item[]) {
    const { processed_items: results } = await settle(items);
    const { resolved_data: task, cursor } = results.at(-1);
    return { task, cursor };
  }

  const expectBrought = (result: object, { task, cursor }: Awaited<ReturnType<typeof makeTask>>) => {
    expect(result).to.include({ status: 'error', task_id: task.id, server_id: task.server_id, cursor });
    expect(result).to.have.property('resolved_data').that.deep.equals(task);
  };

  for (const [what, refuse] of Object.entries(REFUSED)) {
    it(`brings the task that it names: ${what}`, async () => {
      const made = await makeTask(createItem(newId('task'), { title: 'as the server has it' }));
      const body = await settle([refuse(made.task.id)]);
      expect(body.processed_items[0].field).to.be.a('string');
      expectBrought(body.processed_items[0], made);
      expect(body.cursor).to.equal(made.cursor);
    });
  }

  it('brings a tombstone as it brings a task', async () => {
    const id = newId('task');
    const made = await makeTask(createItem(id), deleteItem(id));
    expect(made.task.deleted).to.equal(true);
    expectBrought((await settle([updateItem(id, { title: '' })])).processed_items[0], made);
  });

  it('brings nothing where there is no such task, or the id names none', async () => {
    const { processed_items: results } = await settle([
      createItem(newId('ghost'), { title: '' }),
      updateItem('i'.repeat(300), { title: '' }),
      { ...updateItem('a', { title: '' }), data: { id: 7 } },
      { client_id: 'c', operation: 'create', data: { title: '' } },
      null,
    ]);
    for (const result of results) {
      expect(result).to.include({ status: 'error', resolved_data: null, server_id: null });
      expect(result).to.not.have.property('cursor');
    }
  });

  it('shows what its own batch did to the task, before and after it', async () => {
    const id = newId('task');
    const { processed_items: results } = await settle([
      createItem(id, { title: 'one', updated_at: '2026-01-31T10:00:00Z' }),
      updateItem(id, { title: TOO_LONG }),
      updateItem(id, { title: 'two', updated_at: '2026-01-31T10:00:01Z' }),
    ]);
    expect(results.map(({ status }: { status: string }) => status)).to.deep.equal(['success', 'error', 'success']);
    expect(results[1].resolved_data).to.include({ title: 'two' }).and.to.deep.equal(results[2].resolved_data);
  });

  describe('whose op_id was used for something else', () => {
    it('brings the task that it names itself, not that of the first operation', async () => {
      const [first, second] = [createItem(newId('first')), createItem(newId('second'))];
      await settle([first]);
      const made = await makeTask(second);
      const [result] = (await settle([deleteItem(second.data.id as string, {}, { op_id: first.op_id })]))
        .processed_items;
      expectBrought(result, made);
      expect(result).to.include({ field: 'op_id', operation: 'delete' });
    });

    it('brings it where both stand in one batch', async () => {
      const made = await makeTask(createItem(newId('task')));
      const first = createItem(newId('first'));
      const other = updateItem(made.task.id, { title: 'x' }, { op_id: first.op_id });
      const [applied, refused] = (await settle([first, other])).processed_items;
      expect(applied.status).to.equal('success');
      expectBrought(refused, made);
    });

    it('brings nothing for a create without an id, which names no task', async () => {
      const first = createItem(newId('first'));
      await settle([first]);
      const unnamed = { ...first, data: { title: 'no id' } };
      const [result] = (await settle([unnamed])).processed_items;
      expect(result).to.include({ status: 'error', field: 'op_id', task_id: null, resolved_data: null });
    });
  });

  it('is brought its task also when the log does not hold its operation any more', async () => {
    const item = createItem(newId('task'));
    const { batch_id: batchId } = await settle([item]);
    const { body: task } = await system.request('GET', `/api/tasks/${item.data.id}`);
    await system.database.select('DELETE FROM sync_queue WHERE op_id = $1', [item.op_id]);
    const [result] = (await system.request('GET', `/api/sync/batches/${batchId}`)).body.processed_items;
    expect(result).to.include({ status: 'error', operation: 'create', task_id: item.data.id });
    expect(result).to.not.have.property('field');
    expect(result.resolved_data).to.deep.equal(task);
  });

  it('of a batch that was stored before items were kept with their task has none', async () => {
    const item = createItem(newId('task'));
    const { batch_id: batchId } = await settle([item]);
    await system.database.select(
      `UPDATE sync_batches SET entries = (SELECT jsonb_agg(e - 'taskId' - 'operation') FROM jsonb_array_elements(entries) e)
       WHERE id = $1`,
      [batchId],
    );
    await system.database.select('DELETE FROM sync_queue WHERE op_id = $1', [item.op_id]);
    const [result] = (await system.request('GET', `/api/sync/batches/${batchId}`)).body.processed_items;
    expect(result).to.include({ status: 'error', operation: null, task_id: null, resolved_data: null });
  });

  it('brings it over a WebSocket', async () => {
    const made = await makeTask(createItem(newId('task')));
    const socket = new WebSocket(`${system.url.replace('http', 'ws')}/api/sync/ws`);
    await once(socket, 'open');
    const answered = new Promise<Answer['body']>((resolve) => {
      socket.on('message', (data) => {
        const message = JSON.parse(data.toString());
        if (message.type === 'result') resolve(message);
      });
    });
    const items = [updateItem(made.task.id, { title: TOO_LONG })];
    socket.send(JSON.stringify({ type: 'push', ref: 1, items }));
    expectBrought((await answered).processed_items[0], made);
    socket.close();
    await once(socket, 'close');
  });

  it('costs one statement more, sent with those that read the outcomes; other batches pay nothing', async () => {
    const { task } = await makeTask(createItem(newId('task')));
    const read = async (batchId: string) => {
      const statements: string[] = [];
      const stop = onStatement((_client, text) => void statements.push(text), 'api');
      await system.request('GET', `/api/sync/batches/${batchId}`);
      stop();
      return statements.filter((text) => text.includes('tasks')).length;
    };
    const valid = await settle([updateItem(task.id, { title: 'x' })]);
    const mixed = await settle(
      [...Array(5)].flatMap(() => [updateItem(task.id, { title: '' }), createItem(newId('t'))]),
    );
    expect(await read(valid.batch_id)).to.equal(1);
    expect(await read(mixed.batch_id)).to.equal(2);
  });
});

describe('a refused item without a worker', () => {
  it('brings its task in the 202 as well', async () => {
    const system = await withQueue(startSystem(import.meta.url, { workers: 0 }));
    try {
      const { body: task } = await system.request('POST', '/api/tasks', { title: 'made by a direct write' });
      const items = [createItem(newId('task')), updateItem(task.id, { title: TOO_LONG })];
      const answer = await system.push(items, {}, { prefer: 'respond-async' });
      expectBatch(answer, 202);
      const [pending, refused] = answer.body.processed_items;
      expect(pending.status).to.equal('pending');
      expect(refused).to.include({ status: 'error', field: 'data.title' });
      expect(refused.resolved_data).to.deep.equal(task);
      const later = await system.request('GET', `/api/sync/batches/${answer.body.batch_id}`);
      expect(later.body.processed_items).to.deep.equal(answer.body.processed_items);
    } finally {
      await system.stop();
    }
  });
});
