// I2: an operation has its effect once, however often it is sent, alone or in batches, one after the other or at the same time.
import { expect } from 'chai';
import { expectBatch } from '../support/contract.js';
import { createItem, deleteItem, type Item, newId, shuffle, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

interface Result {
  client_id: string;
  op_id: string;
  status: string;
  duplicate?: true;
  index: number;
}

describe('sending again', () => {
  let system: System;

  before(async () => {
    system = await withQueue(startSystem(import.meta.url));
  });
  after(() => system.stop());

  const settle = async (items: unknown[], envelope: object = {}) => {
    const answer = await system.push(items, envelope);
    expectBatch(answer, 200);
    return answer.body;
  };
  const withoutMark = ({ duplicate, index, ...rest }: Result) => rest;
  const readLog = (clientId: string) =>
    system.database.select<{ op_id: string; seq: number | null; status: string }>(
      'SELECT op_id, seq, status FROM sync_queue WHERE client_id = $1 ORDER BY id',
      [clientId],
    );
  const seqNow = async () => {
    const [row] = await system.database.select<{ seq: number }>("SELECT seq FROM workspaces WHERE id = 'default'", []);
    return row?.seq;
  };

  it('a batch gives the same outcomes, marked as duplicates, and changes nothing', async () => {
    const id = newId('task');
    const items = [
      createItem(id, { updated_at: '2026-01-31T10:00:00Z' }),
      updateItem(id, { title: 'late', updated_at: '2026-01-31T09:00:00Z' }),
      updateItem(newId('never'), {}),
      deleteItem(id, { updated_at: '2026-01-31T11:00:00Z' }),
    ];
    const first = await settle(items);
    expect(first.processed_items.map((item: Result) => item.status)).to.deep.equal([
      'success',
      'conflict',
      'not_found',
      'success',
    ]);
    const seq = await seqNow();
    const second = await settle(items);
    expect(second.batch_id).to.not.equal(first.batch_id);
    expect(second.processed_items).to.deep.equal(
      first.processed_items.map((item: Result) => ({ ...item, duplicate: true })),
    );
    expect(second.summary).to.deep.equal(first.summary);
    expect(await seqNow()).to.equal(seq);
    const third = await settle([...items].reverse());
    expect(third.processed_items.map(withoutMark)).to.deep.equal([...first.processed_items].reverse().map(withoutMark));
    expect(await seqNow()).to.equal(seq);
    const [{ finished }] = (await system.database.select<{ finished: boolean }>(
      'SELECT finished_at IS NOT NULL AS finished FROM sync_batches WHERE id = $1',
      [third.batch_id],
    )) as [{ finished: boolean }];
    expect(finished).to.equal(true);
  });

  it('an operation keeps the time of its first acceptance, and shows the task as it is by now', async () => {
    const id = newId('task');
    const create = createItem(id);
    const [first] = (await settle([create])).processed_items;
    await settle([updateItem(id, { title: 'meanwhile' })]);
    const [again] = (await settle([create], { client_timestamp: '2020-01-01T00:00:00Z' })).processed_items;
    expect(again).to.include({ status: 'success', duplicate: true });
    expect(again.resolved_data).to.include({ title: 'meanwhile', created_at: first.resolved_data.created_at });
  });

  it('an operation in another batch among new ones is a duplicate there, and only it', async () => {
    const known = createItem(newId('task'));
    await settle([known]);
    const body = await settle([createItem(newId('task')), known, createItem(newId('task'))]);
    expect(body.processed_items.map((item: Result) => item.duplicate)).to.deep.equal([undefined, true, undefined]);
    expect(body.summary.success).to.equal(3);
  });

  it('an operation twice in one batch has its effect once', async () => {
    const client = newId('client');
    const id = newId('task');
    const create = createItem(id, {}, { client_id: client });
    const update = updateItem(id, { title: 'once' }, { client_id: client });
    const body = await settle([create, update, create, update, update]);
    expect(body.processed_items.map((item: Result) => item.duplicate)).to.deep.equal([
      undefined,
      undefined,
      true,
      true,
      true,
    ]);
    expect(body.summary.success).to.equal(5);
    expect((await readLog(client)).map((row) => row.op_id)).to.deep.equal([create.op_id, update.op_id]);
  });

  it('the same op_id of another client is another operation', async () => {
    const opId = newId('op');
    const items = ['phone', 'laptop'].map((client_id) => createItem(newId('task'), {}, { client_id, op_id: opId }));
    const body = await settle(items);
    expect(body.summary.success).to.equal(2);
    for (const item of body.processed_items) expect(item).to.not.have.property('duplicate');
  });

  describe('without an op_id', () => {
    const bare = (clientId: string, data: object) => ({ client_id: clientId, operation: 'create', data });

    it('the same content is the same operation, whatever the order of its keys', async () => {
      const id = newId('task');
      const item = bare('phone', { id, title: 'a', updated_at: '2026-01-31T10:00:00Z' });
      const [first] = (await settle([item])).processed_items;
      expect(first.status).to.equal('success');
      const reordered = bare('phone', { updated_at: '2026-01-31T10:00:00Z', title: 'a', id });
      for (const again of [item, reordered]) {
        const [result] = (await settle([again])).processed_items;
        expect(result).to.deep.equal({ ...first, duplicate: true });
      }
    });

    it('other content, another kind or another client is another operation', async () => {
      const id = newId('task');
      const items = [
        bare('phone', { id, title: 'a' }),
        bare('laptop', { id, title: 'a' }),
        bare('phone', { id, title: 'b' }),
        { ...bare('phone', { id, title: 'a' }), operation: 'update' },
        bare('phone', { id, title: 'a', note: 1 }),
      ];
      const body = await settle(items);
      for (const item of body.processed_items) expect(item).to.not.have.property('duplicate');
      expect(new Set(body.processed_items.map((item: Result) => item.op_id)).size).to.equal(items.length);
    });
  });

  describe('the same op_id with other content', () => {
    const expectRefused = (result: object, item: Item) => {
      expect(result).to.include({ status: 'error', field: 'op_id', op_id: item.op_id, task_id: item.data.id });
    };

    it('is an error, and the first stays', async () => {
      const id = newId('task');
      const first = createItem(id, { title: 'first' });
      await settle([first]);
      const others = [
        createItem(id, { title: 'second' }, { op_id: first.op_id }),
        createItem(newId('task'), { title: 'first' }, { op_id: first.op_id }),
        deleteItem(id, {}, { op_id: first.op_id }),
        createItem(id, { title: 'first', completed: true }, { op_id: first.op_id }),
      ];
      const sibling = createItem(newId('task'));
      const body = await settle([...others, sibling, first]);
      for (const [n, item] of others.entries()) expectRefused(body.processed_items[n], item);
      expect(body.processed_items[4].status).to.equal('success');
      expect(body.processed_items[5]).to.include({ status: 'success', duplicate: true });
      const { body: task } = await system.request('GET', `/api/tasks/${id}`);
      expect(task).to.include({ title: 'first', completed: false });
    });

    it('is an error inside one batch too: the one that stands first is applied', async () => {
      const id = newId('task');
      const first = createItem(id, { title: 'first' });
      const second = createItem(id, { title: 'second' }, { op_id: first.op_id });
      const body = await settle([first, second]);
      expect(body.processed_items[0].status).to.equal('success');
      expectRefused(body.processed_items[1], second);
      expect((await system.request('GET', `/api/tasks/${id}`)).body.title).to.equal('first');
    });

    it('lets one of many concurrent ones win, and tells all the others', async () => {
      const opId = newId('op');
      const items = Array.from({ length: 8 }, (_, n) =>
        createItem(newId('task'), { title: `writer ${n}` }, { op_id: opId }),
      );
      const answers = await Promise.all(items.map((item) => settle([item])));
      const statuses = answers.map((body) => body.processed_items[0].status);
      expect(statuses.filter((status) => status === 'success')).to.have.lengthOf(1);
      expect(statuses.filter((status) => status === 'error')).to.have.lengthOf(7);
      const winner = items[statuses.indexOf('success')];
      const rows = await system.database.select<{ task_id: string }>(
        'SELECT task_id FROM sync_queue WHERE op_id = $1',
        [opId],
      );
      expect(rows).to.deep.equal([{ task_id: winner?.data.id }]);
    });
  });
});

describe('sending again while the first is still running', () => {
  const makeItems = (client: string) =>
    Array.from({ length: 120 }, (_, n) => {
      const id = `${client}-${n % 40}`;
      const beside = { client_id: client, op_id: `op-${n}` };
      if (n < 40) return createItem(id, {}, beside);
      return n % 7 === 0 ? deleteItem(id, {}, beside) : updateItem(id, { title: `edit ${n}` }, beside);
    });

  for (const [when, workers] of [
    ['before a worker has come', 0],
    ['while workers apply', 2],
  ] as const) {
    it(`applies every operation once: five times at once, shuffled, ${when}`, async () => {
      const system = await withQueue(startSystem(import.meta.url, { workers }));
      try {
        const client = newId('client');
        const items = makeItems(client);
        const sends = [items, ...[1, 2, 3, 4].map((seed) => shuffle(items, seed))];
        const running = sends.map((sent) => system.push(sent, {}, { prefer: 'wait=30' }));
        if (workers === 0) await system.startWorker();
        const answers = await Promise.all(running);

        for (const answer of answers) expectBatch(answer, 200);
        const byOperation = answers.map((answer) => {
          const results: Result[] = answer.body.processed_items;
          return new Map(results.map(({ duplicate, index, ...result }) => [result.op_id, result.status]));
        });
        for (const outcomes of byOperation)
          expect([...outcomes].sort()).to.deep.equal([...(byOperation[0] ?? [])].sort());
        for (const [n, answer] of answers.entries()) {
          expect(answer.body.processed_items.map((item: Result) => item.op_id)).to.deep.equal(
            sends[n]?.map((item) => item.op_id),
          );
        }
        const firsts = answers.flatMap((answer) =>
          answer.body.processed_items.filter((item: Result) => item.duplicate === undefined),
        );
        expect(firsts.map((item: Result) => item.op_id).sort(), 'each is the first one once').to.deep.equal(
          items.map((item) => item.op_id).sort(),
        );

        const log = await system.database.select<{
          op_id: string;
          outcome: string;
          seq: number | null;
          status: string;
        }>('SELECT op_id, outcome, seq, status FROM sync_queue WHERE client_id = $1', [client]);
        expect(log).to.have.lengthOf(items.length);
        for (const row of log) expect(byOperation[0]?.get(row.op_id)).to.equal(row.outcome);
        const seqs = log.flatMap((row) => (row.seq === null ? [] : [row.seq])).sort((a, b) => a - b);
        expect(seqs, 'counted without gaps (I3)').to.deep.equal(seqs.map((_, index) => index + 1));
        const { body: status } = await system.request('GET', '/api/sync/status');
        expect(status).to.include({ synced: items.length, pending: 0, failed: 0 });
        const [open] = await system.database.select<{ count: number }>(
          'SELECT count(*) AS count FROM sync_batches WHERE finished_at IS NULL',
          [],
        );
        expect(open?.count, 'every batch is finished').to.equal(0);
      } finally {
        await system.stop();
      }
    });
  }
});
