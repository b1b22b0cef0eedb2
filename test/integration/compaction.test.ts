// Compaction (I2, I4, I6): what was deleted stays deleted for devices that slept through the retention, and they are told to start over;
// the log keeps what is not settled.
import { expect } from 'chai';
import { openFeed, readFeedPage } from '../../src/api/feed.js';
import { createReadPage } from '../../src/api/sharedPages.js';
import { ApiError } from '../../src/errors.js';
import { countStubs, DAY_MS, KEEP_ALL, readFloor, runCompaction } from '../support/compaction.js';
import { expectBatch, expectProblem } from '../support/contract.js';
import { refuseTitles } from '../support/faults.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';
import { openTimeLine } from '../support/timeLine.js';

describe('compaction', () => {
  let system: System;
  let nowMs = Date.UTC(2026, 0, 1);
  const sleepDays = (days: number) => {
    nowMs += days * DAY_MS;
  };
  const now = () => new Date(nowMs).toISOString();
  before(async () => {
    // An operation may be put off for as long as a test needs it.
    system = await startSystem(import.meta.url, { nowMs: () => nowMs, env: { ...KEEP_ALL, RETRY_CAP_MS: '60000' } });
  });
  after(() => system.stop());

  const get = (path: string) => system.request('GET', path);
  const changes = (query = '') => get(`/api/sync/changes?limit=5000${query}`);
  const pushOne = async (item: Item) => {
    const answer = await system.push([item]);
    expectBatch(answer, 200);
    return answer.body.processed_items[0];
  };
  /** A task that was created and then deleted before a night of `days`. */
  const deleteAndSleep = async (days: number) => {
    const id = newId('task');
    const created = await pushOne(createItem(id, { description: 'secret' }));
    const { cursor } = (await changes()).body;
    await pushOne(deleteItem(id, {}, { client_id: 'laptop' }));
    sleepDays(days);
    await runCompaction(system, () => nowMs);
    return { id, cursor, serverId: created.server_id };
  };
  const GONE = { status: 'conflict', code: 'deleted_remotely', resolved_data: null, server_id: null };

  describe('a device that slept through the retention', () => {
    it('has to bootstrap, and finds nothing of the deleted task', async () => {
      const { id, cursor, serverId } = await deleteAndSleep(91);
      expectProblem(await changes(`&cursor=${cursor}`), 410, 'cursor_expired');
      const bootstrap = await changes();
      expect(bootstrap.body.changes.map((task: { id: string }) => task.id)).to.not.include(id);
      expect((await get(`/api/tasks/${id}`)).status).to.equal(404);
      expect((await get(`/api/tasks/${serverId}`)).status).to.equal(404);
      const all = await get('/api/tasks?include_deleted=true&limit=1000');
      expect(all.body.map((task: { id: string }) => task.id)).to.not.include(id);
      const [row] = await system.database.select<object>(
        'SELECT title, description, completed, stub, deleted FROM tasks WHERE id = $1',
        [id],
      );
      expect(row).to.deep.equal({ title: '', description: null, completed: false, stub: true, deleted: true });
    });

    it('cannot bring it back with an edit, an old create or another delete, however often', async () => {
      const { id } = await deleteAndSleep(91);
      const old = '2025-12-31T00:00:00Z';
      for (const item of [
        updateItem(id, { title: 'Back', updated_at: old }),
        updateItem(id, { title: 'Back' }),
        createItem(id, { title: 'Back', updated_at: old }),
        deleteItem(id),
      ]) {
        expect(await pushOne(item)).to.deep.include({ ...GONE, operation: item.operation });
        const again = await pushOne(item);
        expect(again).to.deep.include({ ...GONE, duplicate: true });
        expect(again.message).to.match(/Drop the local copy/);
      }
      expect((await get(`/api/tasks/${id}`)).status).to.equal(404);
    });

    it('may create a task under the id anew, which takes nothing over', async () => {
      const { id, serverId } = await deleteAndSleep(91);
      const result = await pushOne(createItem(id, { title: 'Anew' }));
      expect(result).to.include({ status: 'success', server_id: serverId });
      const shown = { title: 'Anew', description: null, deleted: false };
      expect(result.resolved_data).to.deep.include(shown);
      expect(Date.parse(result.resolved_data.created_at)).to.equal(nowMs);
      expect((await get(`/api/tasks/${id}`)).body).to.deep.equal(result.resolved_data);
      expect(await pushOne(updateItem(id, { completed: true }))).to.include({ status: 'success' });
    });

    it('ends equal to the server when it starts over', async () => {
      const kept = newId('kept');
      const gone = newId('gone');
      const seen = newId('seen');
      await system.push([kept, gone, seen].map((id) => createItem(id)));
      const local = new Map((await changes()).body.changes.map((task: { id: string }) => [task.id, task]));
      const { cursor } = (await changes()).body;
      nowMs += 1_000;
      const unpushed = [
        updateItem(gone, { title: 'Mine' }),
        updateItem(kept, { title: 'Mine' }),
        createItem(newId('own')),
      ];
      for (const item of unpushed) item.data.updated_at = now();
      sleepDays(1);
      await system.push([deleteItem(gone, {}, { client_id: 'laptop' }), deleteItem(seen, {}, { client_id: 'laptop' })]);
      sleepDays(100);
      await runCompaction(system, () => nowMs);

      expect((await changes(`&cursor=${cursor}`)).status).to.equal(410);
      const listed = (await changes()).body;
      local.clear();
      for (const task of listed.changes) local.set(task.id, task);
      for (const result of (await system.push(unpushed)).body.processed_items) {
        if (result.code === 'deleted_remotely') local.delete(result.task_id);
      }
      for (const task of (await changes(`&cursor=${listed.cursor}`)).body.changes) local.set(task.id, task);
      const server = (await get('/api/tasks?limit=1000')).body;
      expect([...local.values()]).to.have.deep.members(server);
      expect(local.get(kept)).to.include({ title: 'Mine' });
      expect([local.has(gone), local.has(seen)]).to.deep.equal([false, false]);
    });
  });

  it('leaves tombstones within the retention in the feed, and cursors above the floor valid', async () => {
    await deleteAndSleep(91);
    const floor = await readFloor(system);
    const id = newId('young');
    await pushOne(createItem(id));
    const { cursor } = (await changes()).body;
    await pushOne(deleteItem(id));
    sleepDays(89);
    await runCompaction(system, () => nowMs);
    expect(await readFloor(system)).to.equal(floor);
    const seen = (await changes(`&cursor=${cursor}`)).body.changes;
    expect(seen.map((task: { id: string; deleted: boolean }) => [task.id, task.deleted])).to.deep.equal([[id, true]]);
  });

  it('does not let a reader continue that it has passed since he opened the feed (I6)', async () => {
    const id = newId('passed');
    const live = newId('live');
    await system.push([createItem(id), createItem(live)]);
    const { cursor } = (await changes()).body;
    await pushOne(deleteItem(id));
    const timeLine = await openTimeLine(system.database);
    const feed = await openFeed({ database: system.database, timeLine }, 'default', cursor);
    const bootstrap = await openFeed({ database: system.database, timeLine }, 'default', undefined);
    sleepDays(91);
    await runCompaction(system, () => nowMs);
    const form = { limit: 5_000, maxBytes: 1_000_000, separator: ',', terminator: '' };
    const readPage = createReadPage(system.database, timeLine, 0);
    const refused = await readFeedPage(readPage, feed, form).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refused).to.be.instanceOf(ApiError).and.include({ code: 'cursor_expired' });
    const listed = await readFeedPage(readPage, bootstrap, form);
    const tasks: { id: string }[] = JSON.parse(`[${listed.bytes}]`);
    expect(tasks.map((task) => task.id))
      .to.include(live)
      .and.not.include(id);
  });

  it('lets a direct POST use the id again, and answers 404 to every other write', async () => {
    const { id } = await deleteAndSleep(91);
    for (const [method, body] of [
      ['PUT', { title: 'T' }],
      ['PATCH', { title: 'T' }],
      ['PATCH', { deleted: false }],
      ['DELETE', undefined],
    ] as const) {
      expect((await system.request(method, `/api/tasks/${id}`, body)).status, method).to.equal(404);
    }
    const created = await system.request('POST', '/api/tasks', { id, title: 'Directly' });
    expect(created.status).to.equal(201);
    expect(created.body).to.include({ id, title: 'Directly', description: null });
    expect(Date.parse(created.body.created_at)).to.be.within(nowMs, nowMs + 1);
  });

  it('forgets a stub after the further period', async () => {
    const { id } = await deleteAndSleep(91);
    sleepDays(275);
    await runCompaction(system, () => nowMs);
    expect(await countStubs(system)).to.equal(0);
    expect(await pushOne(updateItem(id, { title: 'Back' }))).to.include({ status: 'not_found' });
  });

  it('prunes settled operations and finished batches, keeps failed and pending ones', async () => {
    await runCompaction(system, () => nowMs, { logDays: 0 });
    await refuseTitles(system.database, 'Poison', '22023');
    const items = [createItem(newId('fine')), createItem(newId('bad'), { title: 'Poison' })];
    const batch = (await system.push(items)).body;
    const waiting = newId('waiting');
    const acceptedAt = now();
    sleepDays(91);
    await system.database.select(
      `INSERT INTO sync_queue (workspace_id, client_id, op_id, content_hash, task_id, operation, task_data, updated_at, max_retries,
         created_at, next_attempt_at)
       VALUES ('default', 'c', $1, '', 't', 'delete', '{}', now(), 3, $2::timestamptz, $3::timestamptz + interval '1 minute')`,
      [waiting, acceptedAt, now()],
    );
    const young = createItem(newId('young'));
    await pushOne(young);
    const before = (await get(`/api/sync/batches/${batch.batch_id}`)).status;
    await runCompaction(system, () => nowMs, { chunk: 1 });
    const left = await system.database.select<{ opId: string; status: string }>(
      'SELECT op_id AS "opId", status FROM sync_queue ORDER BY id',
      [],
    );
    expect(left).to.deep.equal([
      { opId: items[1]?.op_id, status: 'failed' },
      { opId: waiting, status: 'pending' },
      { opId: young.op_id, status: 'synced' },
    ]);
    expect([before, (await get(`/api/sync/batches/${batch.batch_id}`)).status]).to.deep.equal([200, 404]);
    const failed = (await get('/api/sync/queue?status=failed')).body;
    expect(failed.map((item: { op_id: string }) => item.op_id)).to.deep.equal([items[1]?.op_id]);
  });

  it('meets an operation again whose log row is gone: no second effect (I2, I4)', async () => {
    const id = newId('resent');
    const items = [
      createItem(id, { updated_at: now() }),
      updateItem(id, { title: 'Second', updated_at: new Date(nowMs + 1).toISOString() }),
    ];
    sleepDays(1);
    await system.push(items);
    const { cursor } = (await changes()).body;
    sleepDays(91);
    await runCompaction(system, () => nowMs);
    const statuses = (await system.push(items)).body.processed_items.map(
      (item: Item & { status: string }) => item.status,
    );
    expect(statuses).to.deep.equal(['conflict', 'success']);
    expect((await changes(`&cursor=${cursor}`)).body.changes).to.deep.equal([]);
    expect((await get(`/api/tasks/${id}`)).body.title).to.equal('Second');
  });
});
