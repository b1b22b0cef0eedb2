// POST /api/sync/batch and GET /api/sync/batches/:id (DESIGN 5): the answer of each operation, by the merge rules (DESIGN 3), and the limits.
import { expect } from 'chai';
import { CANONICAL, expectBatch, expectInvalid, expectProblem, UUID, UUID_V7 } from '../support/contract.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

describe('POST /api/sync/batch', () => {
  let system: System;

  before(async () => {
    system = await withQueue(startSystem(import.meta.url));
  });
  after(() => system.stop());

  /** Pushes and expects everything to be settled. */
  const settle = async (items: unknown[], envelope: object = {}) => {
    const answer = await system.push(items, envelope);
    expectBatch(answer, 200);
    return answer.body;
  };
  const statusesOf = (body: { processed_items: { status: string }[] }) =>
    body.processed_items.map((item) => item.status);
  const at = (second: number) => new Date(Date.UTC(2026, 0, 31, 10, 0, second)).toISOString();

  describe('answers', () => {
    it('each operation in the order sent, with the task as the server now has it', async () => {
      const [a, b] = [newId('a'), newId('b')];
      const items = [
        createItem(a, { description: 'first', updated_at: at(1) }),
        createItem(b, { completed: true, updated_at: at(2) }, { client_id: 'laptop' }),
        updateItem(a, { title: 'second', updated_at: at(3) }),
        deleteItem(b, { updated_at: at(4) }),
      ];
      const body = await settle(items);
      expect(body.progress).to.deep.equal({ total: 4, processed: 4, percent: 100 });
      expect(body.summary.success).to.equal(4);
      const [first, second, third, fourth] = body.processed_items;
      expect(body.processed_items.map((item: Item) => [item.client_id, item.op_id, item.operation])).to.deep.equal(
        items.map((item) => [item.client_id, item.op_id, item.operation]),
      );
      expect(first.resolved_data, 'the state after the whole batch').to.deep.equal(third.resolved_data);
      expect(third.resolved_data).to.include({
        id: a,
        title: 'second',
        description: 'first',
        completed: false,
        deleted: false,
        created_at: '2026-01-31T10:00:01.000000Z',
        updated_at: '2026-01-31T10:00:03.000000Z',
        updated_by: 'phone',
        op_id: items[2]?.op_id,
        sync_status: 'synced',
      });
      expect(second.resolved_data).to.deep.equal(fourth.resolved_data);
      expect(fourth.resolved_data).to.include({ id: b, deleted: true, completed: true, op_id: items[3]?.op_id });
      expect(fourth.resolved_data.updated_by, 'the delete wrote last').to.equal('phone');
      for (const item of body.processed_items) {
        expect(item).to.not.have.any.keys('message', 'duplicate', 'field');
        expect(item.server_id).to.match(UUID);
      }
    });

    it('the same body again at /api/sync/batches/:id', async () => {
      const id = newId('task');
      const items = [createItem(id), updateItem(newId('never'), { title: 'a' }), 'no item', deleteItem(id)];
      const sent = await settle(items, { client_timestamp: new Date().toISOString() });
      const read = await system.request('GET', `/api/sync/batches/${sent.batch_id}`);
      expectBatch(read, 200);
      const { server_time, ...rest } = sent;
      expect(read.body).to.deep.equal({ ...rest, server_time: read.body.server_time });
      expect(read.body.server_time >= server_time).to.equal(true);
      const upper = await system.request('GET', `/api/sync/batches/${sent.batch_id.toUpperCase()}`);
      expect(upper.body.batch_id).to.equal(sent.batch_id);
    });

    it('404 to a batch that never was, or cannot be', async () => {
      for (const id of ['00000000-0000-7000-8000-000000000000', 'no-uuid', 'x'.repeat(500), '%00']) {
        expectProblem(await system.request('GET', `/api/sync/batches/${id}`), 404, 'not_found');
      }
    });

    it('`conflict` with the server’s task where the server’s is newer', async () => {
      const id = newId('task');
      await settle([createItem(id, { updated_at: at(1) }), updateItem(id, { title: 'newer', updated_at: at(30) })]);
      const body = await settle([
        updateItem(id, { title: 'older', updated_at: at(29) }, { client_id: 'laptop' }),
        deleteItem(id, { updated_at: at(10) }, { client_id: 'laptop' }),
        createItem(id, { title: 'oldest', updated_at: at(0) }, { client_id: 'laptop' }),
      ]);
      expect(body.summary).to.include({ conflict: 3, success: 0 });
      for (const item of body.processed_items) {
        expect(item.status).to.equal('conflict');
        expect(item.message).to.be.a('string');
        expect(item.resolved_data).to.include({ title: 'newer', updated_by: 'phone', deleted: false });
      }
    });

    it('`not_found` to an update and a delete of what never was', async () => {
      const id = newId('never');
      const body = await settle([updateItem(id, { title: 'a' }), deleteItem(id)]);
      expect(statusesOf(body)).to.deep.equal(['not_found', 'not_found']);
      for (const item of body.processed_items)
        expect(item).to.include({ server_id: null, resolved_data: null, task_id: id });
      expectProblem(await system.request('GET', `/api/tasks/${id}`), 404, 'not_found');
    });

    it('`exists` to a create whose effect is there already, met again after its log row was pruned', async () => {
      const item = createItem(newId('task'), { updated_at: at(1) });
      const first = await settle([item]);
      await system.database.select('DELETE FROM sync_queue WHERE op_id = $1', [item.op_id]);
      const gone = await system.request('GET', `/api/sync/batches/${first.batch_id}`);
      expectBatch(gone, 200);
      expect(gone.body.processed_items[0]).to.include({ status: 'error' }).and.to.not.have.property('field');
      const again = await settle([item]);
      expect(statusesOf(again)).to.deep.equal(['exists']);
      expect(again.processed_items[0].resolved_data).to.deep.equal(first.processed_items[0].resolved_data);
    });
  });

  describe('merges', () => {
    it('a create of an existing id like an update', async () => {
      const id = newId('task');
      const first = await settle([createItem(id, { description: 'kept', updated_at: at(1) })]);
      const body = await settle([createItem(id, { title: 'again', updated_at: at(2) }, { client_id: 'laptop' })]);
      expect(statusesOf(body)).to.deep.equal(['success']);
      const { created_at, server_id } = first.processed_items[0].resolved_data;
      expect(body.processed_items[0].resolved_data).to.include({
        title: 'again',
        description: 'kept',
        created_at,
        server_id,
        updated_by: 'laptop',
      });
    });

    it('a deleted task back to life by a newer write, not by an older one', async () => {
      for (const [kind, revive] of [
        ['update', updateItem],
        ['create', createItem],
      ] as const) {
        const id = newId(kind);
        await settle([
          createItem(id, { description: 'kept', updated_at: at(1) }),
          deleteItem(id, { updated_at: at(20) }),
        ]);
        const older = await settle([revive(id, { title: 'older', updated_at: at(19) })]);
        expect(statusesOf(older), kind).to.deep.equal(['conflict']);
        expect(older.processed_items[0].resolved_data).to.include({ deleted: true });
        expectProblem(await system.request('GET', `/api/tasks/${id}`), 404, 'not_found');
        const newer = await settle([revive(id, { title: 'newer', updated_at: at(21) })]);
        expect(statusesOf(newer), kind).to.deep.equal(['success']);
        const { body: task } = await system.request('GET', `/api/tasks/${id}`);
        expect(task).to.include({ title: 'newer', description: 'kept', deleted: false });
        expect(task).to.deep.equal(newer.processed_items[0].resolved_data);
      }
    });

    it('a second, newer delete as a success', async () => {
      const id = newId('task');
      await settle([createItem(id, { updated_at: at(1) }), deleteItem(id, { updated_at: at(2) })]);
      const body = await settle([deleteItem(id, { updated_at: at(4) }), deleteItem(id, { updated_at: at(3) })]);
      expect(statusesOf(body)).to.deep.equal(['success', 'conflict']);
      expect(body.processed_items[0].resolved_data.updated_at).to.equal('2026-01-31T10:00:04.000000Z');
    });

    it('writes of the same instant by client_id, whichever comes first (I4)', async () => {
      for (const order of ['winner first', 'loser first']) {
        const id = newId('task');
        await settle([createItem(id, { updated_at: at(1) })]);
        const winner = updateItem(id, { title: 'zebra', updated_at: at(2) }, { client_id: 'b' });
        const loser = updateItem(id, { title: 'ant', updated_at: at(2) }, { client_id: 'B' });
        const pair = order === 'winner first' ? [winner, loser] : [loser, winner];
        const [first, second] = [await settle([pair[0]]), await settle([pair[1]])];
        expect([...statusesOf(first), ...statusesOf(second)], order).to.deep.equal(
          order === 'winner first' ? ['success', 'conflict'] : ['success', 'success'],
        );
        expect((await system.request('GET', `/api/tasks/${id}`)).body.title, order).to.equal('zebra');
      }
    });

    it('writes of the same instant by one client in the order sent, whatever their op_ids', async () => {
      for (const opIds of [
        ['0-op', '1-op'],
        ['1-op', '0-op'],
      ]) {
        const id = newId('task');
        await settle([createItem(id, { updated_at: at(1) })]);
        for (const op_id of opIds) {
          const title = `by ${op_id}`;
          const write = updateItem(id, { title, updated_at: at(2) }, { client_id: id, op_id: `${op_id}-${id}` });
          expect(statusesOf(await settle([write]))).to.deep.equal(['success']);
        }
        expect((await system.request('GET', `/api/tasks/${id}`)).body.title).to.equal(`by ${opIds.at(-1)}`);
      }
    });

    it('fifty operations on one task in one batch like the same ones one by one', async () => {
      const [together, apart] = [newId('together'), newId('apart')];
      // Every time of the minute once, in an order that makes many of them late.
      const write = (id: string, n: number): Item => {
        const updated_at = at((n * 17) % 50);
        const beside = { client_id: `device-${n % 3}`, op_id: `${id}-${n}` };
        if (n % 9 === 8) return deleteItem(id, { updated_at }, beside);
        if (n % 5 === 0) return createItem(id, { title: `title ${n}`, updated_at }, beside);
        const field = n % 2 === 0 ? { description: n % 4 === 0 ? null : `text ${n}` } : { completed: n % 4 === 1 };
        return updateItem(id, { ...field, updated_at }, beside);
      };
      const numbers = Array.from({ length: 50 }, (_, n) => n);
      const batch = await settle(numbers.map((n) => write(together, n)));
      const single: string[] = [];
      for (const n of numbers) single.push(...statusesOf(await settle([write(apart, n)])));
      expect(statusesOf(batch)).to.deep.equal(single);
      expect(new Set(single)).to.include.all.keys('success', 'conflict');
      const read = async (id: string) => {
        const { body } = await system.request('GET', '/api/tasks?limit=1000&include_deleted=true');
        const {
          id: _,
          server_id,
          op_id,
          seq,
          last_synced_at,
          ...task
        } = body.find((each: { id: string }) => each.id === id);
        return { ...task, op_id: op_id.replace(id, '') };
      };
      expect(await read(together)).to.deep.equal(await read(apart));
      const seqs = await system.database.select<{ seq: number }>(
        'SELECT seq FROM sync_queue WHERE task_id = $1 AND seq IS NOT NULL ORDER BY id',
        [together],
      );
      const first = seqs[0]?.seq ?? 0;
      expect(seqs.map((row) => row.seq)).to.deep.equal(seqs.map((_, index) => first + index));
      expect(seqs).to.have.lengthOf(batch.summary.success);
    });
  });

  describe('reads', () => {
    it('task_id beside data for the id, and id beside data for op_id', async () => {
      const id = newId('task');
      const opId = newId('op');
      const body = await settle([
        { client_id: 'phone', id: opId, task_id: id, operation: 'create', data: { title: 'beside' } },
        { client_id: 'phone', id: newId('op'), task_id: id, operation: 'update', data: { id, completed: true } },
      ]);
      expect(statusesOf(body)).to.deep.equal(['success', 'success']);
      expect(body.processed_items[0]).to.include({ op_id: opId, task_id: id });
      expect(body.processed_items[1].resolved_data).to.include({ id, title: 'beside', completed: true });
      const removed = await settle([{ client_id: 'phone', op_id: newId('op'), task_id: id, operation: 'delete' }]);
      expect(removed.processed_items[0].resolved_data).to.include({ id, deleted: true });
    });

    it('op_id before id, where both stand beside data', async () => {
      const [opId, other] = [newId('op'), newId('other')];
      const body = await settle([{ ...createItem(newId('task'), {}, { op_id: opId }), id: other }]);
      expect(body.processed_items[0].op_id).to.equal(opId);
    });

    it('a create without an id, which the server then gives', async () => {
      const item = { client_id: 'phone', op_id: newId('op'), operation: 'create', data: { title: 'nameless' } };
      const [first] = (await settle([item])).processed_items;
      expect(first.task_id).to.match(UUID_V7);
      expect(first.resolved_data.id).to.equal(first.task_id);
      const [again] = (await settle([item])).processed_items;
      expect(again).to.deep.equal({ ...first, duplicate: true });
    });

    it('null like an absent op_id, task_id, id and updated_at', async () => {
      const id = newId('task');
      const item = { client_id: 'phone', op_id: null, id: null, task_id: null, operation: 'create' };
      const [first] = (await settle([{ ...item, data: { id, title: 'a', updated_at: null } }])).processed_items;
      expect(first.status).to.equal('success');
      expect(first.op_id).to.be.a('string').with.lengthOf.within(1, 128);
      expect(first.resolved_data.updated_at).to.match(CANONICAL);
    });

    it('nothing from a field that the server owns or does not know', async () => {
      const id = newId('task');
      const [first] = (
        await settle([
          {
            ...createItem(id, {
              updated_at: at(1),
              server_id: '00000000-0000-4000-8000-000000000000',
              seq: 10 ** 9,
              deleted: true,
              created_at: at(59),
              updated_by: 'somebody else',
              op_id: 'another',
              workspace_id: 'another',
              sync_status: 'error',
              constructor: { prototype: {} },
              colour: [1, { deep: null }],
            }),
            workspace_id: 'another',
            batch_id: 7,
          },
        ])
      ).processed_items;
      expect(first.status).to.equal('success');
      const { resolved_data: task } = first;
      expect(task).to.include({ id, deleted: false, updated_by: 'phone', op_id: first.op_id, sync_status: 'synced' });
      expect(task.created_at).to.equal('2026-01-31T10:00:01.000000Z');
      expect(task.server_id).to.not.equal('00000000-0000-4000-8000-000000000000');
      expect(task.seq).to.be.below(10 ** 9);
    });

    it('description: null as a value, and leaves absent fields as they are', async () => {
      const id = newId('task');
      await settle([createItem(id, { description: 'text', completed: true, updated_at: at(1) })]);
      const cleared = await settle([updateItem(id, { description: null, updated_at: at(2) })]);
      expect(cleared.processed_items[0].resolved_data).to.include({ description: null, completed: true });
      const touched = await settle([updateItem(id, { updated_at: at(3) })]);
      expect(touched.processed_items[0].resolved_data).to.include({
        title: `Title of ${id}`,
        completed: true,
        updated_at: '2026-01-31T10:00:03.000000Z',
      });
    });
  });

  describe('refuses', () => {
    const envelopes: [name: string, body: unknown][] = [
      ['no items', {}],
      ['null items', { items: null }],
      ['an object as items', { items: { 0: createItem('x') } }],
      ['a string as items', { items: 'abc' }],
      ['empty items', { items: [] }],
      ['an array', [createItem('x')]],
      ['items in __proto__', '{"__proto__": {"items": [{}]}}'],
      ['an empty body', ''],
    ];
    for (const [name, body] of envelopes) {
      it(`${name} with 400`, async () => {
        expectInvalid(await system.request('POST', '/api/sync/batch', body), 'items');
      });
    }

    for (const [name, body] of [
      ['half a JSON document', '{"items": ['],
      ['no JSON', 'items=1'],
      ['a JSON string', '"items"'],
      ['a JSON null', 'null'],
      ['a number beyond JSON', '{"items": [NaN]}'],
    ]) {
      it(`${name} with 400`, async () => {
        expectProblem(await system.request('POST', '/api/sync/batch', body), 400, 'invalid_json');
      });
    }

    const countRows = async () => {
      const [row] = await system.database.select<{ operations: number; batches: number }>(
        'SELECT (SELECT count(*) FROM sync_queue) AS operations, (SELECT count(*) FROM sync_batches) AS batches',
        [],
      );
      return row;
    };

    it('1,001 items with 413 that names SYNC_MAX_ITEMS, and stores none', async () => {
      const before = await countRows();
      const items = Array.from({ length: 1_001 }, () => deleteItem(newId('task')));
      const answer = await system.push(items);
      expectProblem(answer, 413, 'too_large');
      expect(answer.body.detail).to.include('SYNC_MAX_ITEMS').and.to.include('1000').and.to.include('1001');
      expect(await countRows()).to.deep.equal(before);
    });

    it('a body of more than BODY_LIMIT with 413 that names it, and stores nothing', async () => {
      const before = await countRows();
      const items = Array.from({ length: 60 }, () => createItem(newId('task'), { description: 'd'.repeat(18_000) }));
      const answer = await system.push(items);
      expectProblem(answer, 413, 'too_large');
      expect(answer.body.detail).to.include('BODY_LIMIT').and.to.include(String(1_048_576));
      expect(await countRows()).to.deep.equal(before);
    });
  });

  it('takes a thousand items at once, in several jobs, and applies each of them once', async () => {
    const ids = Array.from({ length: 1_000 }, (_, n) => `${newId('bulk')}-${n}`);
    const { body: status } = await system.request('GET', '/api/sync/status');
    const body = await settle(ids.map((id) => createItem(id)));
    expect(body.summary.success).to.equal(1_000);
    expect(body.processed_items.map((item: { task_id: string }) => item.task_id)).to.deep.equal(ids);
    const seqs: number[] = body.processed_items.map(
      (item: { resolved_data: { seq: number } }) => item.resolved_data.seq,
    );
    const [first = 0] = seqs;
    expect(seqs, 'in the order sent, without gaps (I3)').to.deep.equal(seqs.map((_, index) => first + index));
    expect((await system.request('GET', '/api/sync/status')).body.synced).to.equal(status.synced + 1_000);
    const [batch] = await system.database.select<{ finished_at: string; total: number }>(
      'SELECT total, finished_at FROM sync_batches WHERE id = $1',
      [body.batch_id],
    );
    expect(batch?.total).to.equal(1_000);
  });
});
