// A second device with curl alone: it bootstraps, follows, is cut off, resumes and stays equal, as docs/protocol.md tells it (I6), while a
// first device and a person at the direct routes write through another api process. Strategy merge, so that there is something to explain.
import { expect } from 'chai';
import { type RunningCluster, startProcesses } from '../support/cluster.js';
import { expectProblem, nextPage } from '../support/contract.js';
import { curl, curlVersion } from '../support/curl.js';
import { type CurlDevice, createCurlDevice } from '../support/curlDevice.js';
import { testBackend } from '../support/environment.js';
import { createItem, deleteItem, type Item, updateItem } from '../support/operations.js';
import { queryDatabase } from '../support/postgres.js';
import { eventually } from '../support/system.js';

const at = (minute: number) => `2026-01-31T10:${minute}:00.000000Z`;
const LAPTOP = { client_id: 'laptop' };
const ids = (label: string, count: number) => Array.from({ length: count }, (_, index) => `${label}-${index}`);
const version = curlVersion();
if (version === undefined)
  process.stdout.write('\n***** SKIPPED: there is no curl here; the walk of a device with curl is NOT tested *****\n');

(version === undefined ? describe.skip : describe)(`a device with curl alone, queue on ${testBackend}`, () => {
  let cluster: RunningCluster;
  let device: CurlDevice;
  /** The other side's api, and the device's own. */
  let [theirs, mine] = ['', ''];

  before(async () => {
    cluster = await startProcesses(import.meta.url, { apis: 2, workers: 2, env: { CONFLICT_STRATEGY: 'merge' } });
    [theirs = '', mine = ''] = cluster.urls;
    device = createCurlDevice(mine);
  });
  after(() => cluster.stop());

  async function push(url: string, ...items: object[]) {
    const answer = await curl(['-H', 'Prefer: wait=30', `${url}/api/sync/batch`], { items });
    expect(answer.status, JSON.stringify(answer.body).slice(0, 300)).to.equal(200);
    return answer;
  }
  const pushTheirs = (...items: Item[]) => push(theirs, ...items);
  const send = (method: string, path: string, body?: unknown, ...parameters: string[]) =>
    curl(['-X', method, ...parameters, `${mine}${path}`], body);
  const get = (path: string, ...parameters: string[]) => curl([...parameters, `${mine}${path}`]);

  /** The copy is what the server has: by the digest, by the list, by a bootstrap from zero. */
  async function expectEqual() {
    expect(await device.verify(), 'buckets that differ').to.deep.equal([]);
    const { body } = await get('/api/tasks?limit=1000');
    const sorted = [...device.copy.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
    expect(sorted).to.deep.equal(
      body.toSorted((a: Item['data'], b: Item['data']) => (String(a.id) < String(b.id) ? -1 : 1)),
    );
    const fresh = createCurlDevice(theirs);
    await fresh.bootstrapByLines();
    expect(fresh.cursor()).to.equal(device.cursor());
    expect([...fresh.copy.keys()].toSorted()).to.deep.equal([...device.copy.keys()].toSorted());
  }

  it('bootstraps in pages while others write, and as lines', async () => {
    await pushTheirs(...ids('first', 30).map((id) => createItem(id)));
    await pushTheirs(deleteItem('first-7'));
    const first = await device.pull('limit=7');
    expect(first.body.changes).to.have.lengthOf(7);
    expect(first.body.has_more).to.equal(true);
    await pushTheirs(updateItem('first-0', { title: 'Moved behind' }), deleteItem('first-1'), createItem('new'));
    await device.catchUp('limit=7');
    expect(device.copy.has('first-7')).to.equal(false);
    expect(device.copy.get('first-0')?.title).to.equal('Moved behind');
    await expectEqual();
    await device.bootstrapByLines();
    await expectEqual();
  });

  it('waits for a change (long poll), and is answered without one when the time is over', async () => {
    const empty = await device.pull('wait=0.3');
    expect([empty.status, empty.body.changes]).to.deep.equal([200, []]);
    const waiting = device.pull('wait=25');
    await pushTheirs(createItem('polled'));
    expect((await waiting).body.changes.map((task: { id: string }) => task.id)).to.deep.equal(['polled']);
    expectProblem(await get('/api/sync/changes?wait=31'), 400, 'invalid_request');
  });

  for (const how of ['Last-Event-ID', 'cursor'] as const) {
    it(`follows live, is cut, and resumes with ${how}`, async () => {
      const stream = device.follow(how);
      const ready = await stream.waitFor(({ name }) => name === 'ready');
      expect(ready.data.cursor).to.equal(device.cursor());
      await pushTheirs(...ids(`live-${how}`, 40).map((id) => createItem(id)));
      await stream.waitFor(({ data }) => data.task?.id === `live-${how}-11`);
      await stream.cut();
      device.take(stream.events);
      // Unseen: more of it, a deletion, and a task that comes and goes.
      await pushTheirs(
        deleteItem(`live-${how}-0`),
        updateItem(`live-${how}-1`, { completed: true }),
        createItem('brief'),
      );
      await curl(['-X', 'DELETE', `${theirs}/api/tasks/brief`]);
      const again = device.follow(how);
      await again.waitFor(({ data }) => data.task?.id === 'brief' && data.task.deleted);
      await again.cut();
      device.take(again.events);
      expect(again.events.filter(({ data }) => data.task?.id === `live-${how}-0`).at(-1)?.data.task.deleted).to.equal(
        true,
      );
      await expectEqual();
    });
  }

  it('finds what it lost by the digest, and repairs just that', async () => {
    device.damage((copy) => {
      copy.delete('first-3');
      copy.set('ghost', { id: 'ghost', seq: 1, deleted: false, title: 'never was' });
    });
    const differing = await device.verify();
    expect(differing).to.have.lengthOf(2);
    for (const bucket of differing) await device.repair(bucket);
    await expectEqual();
  });

  it('starts over where its cursor is of another database', async () => {
    const old = device.cursor();
    await queryDatabase(cluster.database.url, 'UPDATE sync_identity SET incarnation = gen_random_uuid()');
    expectProblem(await device.pull(), 410, 'cursor_expired');
    expectProblem(await get(`/api/sync/stream?cursor=${old}`), 410, 'cursor_expired');
    expectProblem(await get('/api/sync/stream', '-H', `Last-Event-ID: ${old}`), 410, 'cursor_expired');
    expectProblem(await get('/api/sync/changes?cursor=nonsense'), 400, 'invalid_request');
    await device.bootstrapByLines();
    await expectEqual();
  });

  it('keeps both edits of different fields, and learns who won the others', async () => {
    await pushTheirs(createItem('milk', { title: 'Milk', updated_at: at(10) }, LAPTOP));
    const named = updateItem('milk', { title: 'Oat milk', updated_at: at(30) }, LAPTOP);
    await pushTheirs(named);
    const late = updateItem('milk', { title: 'Soy milk', completed: true, updated_at: at(20) });
    const { body, headers } = await push(mine, late);
    const [result] = body.processed_items;
    expect(result).to.deep.include({ status: 'success', merged: true });
    expect(result.fields).to.deep.equal({ title: 'kept_server', completed: 'applied' });
    expect([headers.get('sync-cursor'), headers.get('sync-pending')]).to.deep.equal([body.cursor, '0']);
    await device.catchUp();
    expect(device.copy.get('milk')).to.deep.equal(result.resolved_data);

    const first = '/api/tasks/milk/history?limit=2';
    const pages = [await get(first)];
    pages.push(await get(nextPage(pages[0] ?? expect.fail(), first) ?? ''));
    const history = pages.flatMap((page) => page.body);
    expect(history.map((entry: Item) => entry.operation)).to.deep.equal(['update', 'update', 'create']);
    const explained = await get(`/api/sync/operations/${history[0].id}`);
    expect(explained.body.winner).to.include({ client_id: 'laptop', op_id: named.op_id });
    expect(explained.body.explanation).to.match(
      /^'Soy milk' from phone .* was applied in part \(completed\) and lost to 'Oat milk' from laptop .* \(title\), because later writes win\.$/,
    );
    const again = await send('POST', `/api/sync/operations/${history[0].id}/reapply`);
    expect([again.status, again.headers.get('location')]).to.deep.equal([201, `../${again.body.operation_id}`]);
    await device.catchUp();
    expect(device.cursor()).to.equal(again.headers.get('sync-cursor'));
    expect(device.copy.get('milk')).to.include({ title: 'Soy milk', completed: true });
  });

  it('writes only what nobody changed: if_seq in a batch, ETag on the direct routes', async () => {
    const seen = device.copy.get('milk')?.seq ?? Number.NaN;
    await pushTheirs(updateItem('milk', { description: 'two' }, LAPTOP));
    const guarded = { ...updateItem('milk', { title: 'Mine' }), if_seq: seen };
    const [refused] = (await push(mine, guarded)).body.processed_items;
    expect(refused).to.include({ status: 'conflict', code: 'precondition_failed' });
    const stale = await send('PATCH', '/api/tasks/milk', { title: 'Mine' }, '-H', `If-Match: "${seen}"`);
    expectProblem(stale, 412, 'precondition_failed');
    const tag = stale.headers.get('etag');
    expect(tag).to.equal(`"${refused.resolved_data.seq}"`);
    const known = await get('/api/tasks/milk', '-H', `If-None-Match: ${tag}`);
    expect([known.status, known.body]).to.deep.equal([304, '']);
    const exists = await send('PUT', '/api/tasks/milk', { title: 'Mine' }, '-H', 'If-None-Match: *');
    expectProblem(exists, 412, 'precondition_failed');
    const written = await send('PATCH', '/api/tasks/milk', { title: 'Mine' }, '-H', `If-Match: ${tag}`);
    expect(written.status).to.equal(200);
    await device.catchUp();
    expect(device.cursor()).to.equal(written.headers.get('sync-cursor'));
    await expectEqual();
  });

  it('sees a failed operation, tries it again, and discards another', async () => {
    const refuse = `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
      BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '22000'; END $body$;
      CREATE TRIGGER refuse BEFORE INSERT ON tasks FOR EACH ROW WHEN (NEW.id LIKE 'bad-%') EXECUTE FUNCTION refuse()`;
    await queryDatabase(cluster.database.url, refuse);
    const { body } = await push(mine, createItem('bad-1'), createItem('bad-2'), createItem('good'));
    expect(body.summary).to.include({ error: 2, success: 1 });
    const failed = (await get('/api/sync/queue?status=failed')).body;
    expect(failed.map((item: { task_id: string }) => item.task_id)).to.deep.equal(['bad-1', 'bad-2']);
    const retry = () => send('POST', `/api/sync/queue/${failed[0].id}/retry`, undefined, '-H', 'Prefer: wait=30');
    expect((await retry()).body).to.include({ status: 'error', sync_item_id: failed[0].id });
    await queryDatabase(cluster.database.url, 'DROP TRIGGER refuse ON tasks');
    const applied = await retry();
    expect([applied.body.status, applied.headers.get('sync-pending')]).to.deep.equal(['success', '0']);
    expectProblem(await retry(), 409, 'not_failed');
    const discarded = await send('DELETE', `/api/sync/queue/${failed[1].id}`);
    expect(discarded.body).to.deep.include({ status: 'discarded', item: failed[1] });
    const status = await eventually(async () => {
      const { body: now, headers } = await get('/api/sync/status');
      return now.pending === 0 && { now, pending: headers.get('sync-pending') };
    });
    expect([status.now.failed, status.pending]).to.deep.equal([0, '0']);
    await expectEqual();
    expect(device.copy.has('bad-1') && !device.copy.has('bad-2')).to.equal(true);
  });
});
