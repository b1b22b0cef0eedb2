// The change feed (I6): a device that follows its cursor misses nothing and sees nothing twice, whoever writes meanwhile.
import { expect } from 'chai';
import fc from 'fast-check';
import { refuseTitles } from '../support/faults.js';
import { type System, startSystem } from '../support/system.js';

interface Task {
  id: string;
  title: string;
  deleted: boolean;
  seq: number;
}

const PATH = '/api/sync/changes';
const item = (operation: string, id: string, opId: string, data: object = {}) => ({
  client_id: 'phone',
  op_id: opId,
  operation,
  data: { id, ...data },
});

describe('the change feed', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  const get = (query = '') => system.request('GET', `${PATH}${query}`);
  const titles = (answer: { body: { changes: Task[] } }) => answer.body.changes.map((task) => task.title);

  it('of an empty workspace gives a cursor to continue from', async () => {
    const empty = await get();
    expect(empty.status).to.equal(200);
    expect(empty.body).to.have.all.keys('changes', 'cursor', 'has_more', 'server_time');
    expect(empty.body).to.deep.include({ changes: [], has_more: false });
    await system.request('POST', '/api/tasks', { id: 'first', title: 'First' });
    expect(titles(await get(`?cursor=${empty.body.cursor}`))).to.deep.equal(['First']);
  });

  it('gives each changed task once, in its current state, by seq, tombstones included', async () => {
    const { cursor } = (await get()).body;
    await system.push([
      item('create', 'a', 'a1', { title: 'A' }),
      item('create', 'b', 'b1', { title: 'B' }),
      item('update', 'a', 'a2', { title: 'A again' }),
      item('create', 'c', 'c1', { title: 'C' }),
      item('delete', 'b', 'b2'),
    ]);
    const answer = await get(`?cursor=${cursor}`);
    expect(answer.body.changes.map(({ id, title, deleted }: Task) => [id, title, deleted])).to.deep.equal([
      ['a', 'A again', false],
      ['c', 'C', false],
      ['b', 'B', true],
    ]);
    const seqs = answer.body.changes.map((task: Task) => task.seq);
    expect(seqs).to.deep.equal([...seqs].sort((x, y) => x - y));
    expect((await get(`?cursor=${answer.body.cursor}`)).body.changes).to.deep.equal([]);
  });

  it('bootstraps with live tasks only, and shows what was deleted since its beginning', async () => {
    const items = ['p', 'q', 'r', 's'].map((id) => item('create', id, `${id}1`, { title: id }));
    await system.push([...items, item('delete', 'p', 'p2')]);
    const first = await get('?limit=1');
    expect(first.body.has_more).to.equal(true);
    await system.push([item('delete', first.body.changes[0].id, 'gone-meanwhile'), item('delete', 's', 's2')]);
    const rest = await get(`?limit=5000&cursor=${first.body.cursor}`);
    const seen: Task[] = rest.body.changes;
    expect(seen.filter((task) => task.deleted).map((task) => task.id)).to.have.members([first.body.changes[0].id, 's']);
    expect(seen.map((task) => task.id))
      .to.include.members(['q', 'r'])
      .and.not.include('p');
  });

  it('fills every page unless it is at its end', async () => {
    await system.push(
      Array.from({ length: 25 }, (_, index) => item('create', `page-${index}`, `page-${index}`, { title: 'T' })),
    );
    const sizes: number[] = [];
    const ids = new Set<string>();
    let cursor = '';
    for (let more = true; more; ) {
      const page = (await get(`?limit=10${cursor}`)).body;
      for (const task of page.changes) ids.add(task.id);
      sizes.push(page.changes.length);
      cursor = `&cursor=${page.cursor}`;
      more = page.has_more;
    }
    expect(sizes.slice(0, -1).every((size) => size === 10)).to.equal(true);
    expect(ids.size).to.equal(sizes.reduce((sum, size) => sum + size, 0));
    expect(Array.from({ length: 25 }, (_, index) => `page-${index}`).every((id) => ids.has(id))).to.equal(true);
  });

  it('shows what a batch answered, from the cursors in its answer on and before', async () => {
    const before = (await get('?limit=5000')).body;
    const answer = await system.push([
      item('create', 'seen-1', 'seen-1', { title: 'One' }),
      item('create', 'seen-2', 'seen-2', { title: 'Two' }),
      item('delete', 'never-was', 'seen-3'),
    ]);
    const [first, second, third] = answer.body.processed_items;
    expect(titles(await get(`?cursor=${before.cursor}`))).to.deep.equal(['One', 'Two']);
    expect(titles(await get(`?cursor=${first.cursor}`))).to.deep.equal(['Two']);
    expect(second.cursor).to.equal(answer.body.cursor);
    expect(third).to.not.have.property('cursor');
    expect((await get(`?cursor=${answer.body.cursor}`)).body.changes).to.deep.equal([]);
    expect(answer.headers.get('sync-cursor')).to.equal(answer.body.cursor);
    expect(answer.headers.get('sync-pending')).to.equal('0');
  });

  it('wait=N holds the answer until something is newer, written by a worker or directly', async () => {
    for (const write of [
      () => system.push([item('create', 'long-1', 'long-1', { title: 'By a worker' })]),
      () => system.request('POST', '/api/tasks', { id: 'long-2', title: 'Directly' }),
    ]) {
      const { cursor } = (await get('?limit=5000')).body;
      const waiting = get(`?wait=30&cursor=${cursor}`);
      await write();
      expect((await waiting).body.changes).to.have.length(1);
    }
  });

  it('wait=N answers empty when the time is over', async () => {
    const { cursor } = (await get('?limit=5000')).body;
    const answer = await get(`?wait=0.1&cursor=${cursor}`);
    expect(answer.body).to.deep.include({ changes: [], has_more: false });
  });

  it('notices a change that no wake-up announced', async () => {
    const { cursor } = (await get('?limit=5000')).body;
    const waiting = get(`?wait=20&cursor=${cursor}`);
    await system.database.transaction(async (transaction) => {
      await system.database.select(
        "UPDATE workspaces SET seq = seq + 1 WHERE id = 'default' RETURNING id",
        [],
        transaction,
      );
      await system.database.select(
        "UPDATE tasks SET title = 'Silently', seq = (SELECT seq FROM workspaces WHERE id = 'default') WHERE id = 'first' RETURNING id",
        [],
        transaction,
      );
    });
    expect(titles(await waiting)).to.deep.equal(['Silently']);
  });

  it('as lines gives everything, the cursor last', async () => {
    const response = await fetch(`${system.url}${PATH}`, {
      headers: { accept: 'application/x-ndjson', connection: 'close' },
    });
    expect(response.headers.get('content-type')).to.match(/^application\/x-ndjson/);
    const lines = (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const { cursor } = lines.pop();
    const page = (await get('?limit=5000')).body;
    expect(lines).to.deep.equal(page.changes);
    expect((await get(`?cursor=${cursor}`)).body.changes).to.deep.equal([]);
  });

  it('writes each task as its own address does, whatever is in it, waiting and failed ones too', async () => {
    const { cursor } = (await get()).body;
    const stored = fc.string({ unit: 'binary', maxLength: 60 }).filter((text) => !text.includes('\0'));
    const texts = fc.sample(stored, { numRuns: 150, seed: 9 });
    const hostile = [
      '"',
      '\\',
      '\u2028\u2029',
      '\b\f\n\r\t\v\x01\x1f\x7f',
      '</script>',
      '\u{1f600}',
      "'; --",
      '%s $1 \\u0041',
    ];
    const items = [...hostile, ...texts].map((text, index) =>
      item(index % 9 === 8 ? 'update' : 'create', `text-${index - (index % 9 === 8 ? 1 : 0)}`, `text-${index}`, {
        title: `T${text}`,
        description: index % 3 === 0 ? null : text,
        completed: index % 2 === 0,
      }),
    );
    expect((await system.push(items)).body.summary).to.include({ success: items.length });
    await refuseTitles(system.database, 'Never', '22023');
    await system.push([item('update', 'text-0', 'failing', { title: 'Never' })]);
    const page = await (await fetch(`${system.url}${PATH}?cursor=${cursor}&limit=1000`)).text();
    const accept = { accept: 'application/x-ndjson' };
    const lines = (await (await fetch(`${system.url}${PATH}?cursor=${cursor}`, { headers: accept })).text()).split(
      '\n',
    );
    const { changes } = JSON.parse(page);
    expect(changes).to.have.length(items.length - Math.floor(items.length / 9));
    expect(changes[0].sync_status).to.equal('error');
    for (const { id } of changes) {
      const own = await (await fetch(`${system.url}/api/tasks/${id}`)).text();
      expect(page).to.include(own);
      expect(lines).to.include(own);
    }
  });

  it('refuses what is no cursor with 400, and a cursor of another feed with 410 and what to do', async () => {
    for (const cursor of ['x', 'MQ', Buffer.from('1.2').toString('base64url'), '%00', 'a'.repeat(300)]) {
      expect((await get(`?cursor=${cursor}`)).status, cursor).to.equal(400);
    }
    const { cursor } = (await get('?limit=1')).body;
    const [seq, liveUntil, scope] = Buffer.from(cursor, 'base64url').toString().split('.');
    const forged = [`${seq}.${liveUntil}.${'A'.repeat(16)}`, `999999999.0.${scope}`];
    for (const text of forged) {
      const answer = await get(`?cursor=${Buffer.from(text).toString('base64url')}`);
      expect(answer.status).to.equal(410);
      expect(answer.body).to.include({ code: 'cursor_expired' });
      expect(answer.body.detail).to.match(/Bootstrap without a cursor/);
    }
  });

  it('does not continue a cursor from before a restore, nor one below the compaction floor', async () => {
    const { cursor } = (await get('?limit=5000')).body;
    await system.database.select("UPDATE workspaces SET floor_seq = seq + 1 WHERE id = 'default' RETURNING id", []);
    expect((await get(`?cursor=${cursor}`)).status).to.equal(410);
    await system.database.select("UPDATE workspaces SET floor_seq = 0 WHERE id = 'default' RETURNING id", []);
    expect((await get(`?cursor=${cursor}`)).status).to.equal(200);
    await system.database.select('UPDATE sync_identity SET incarnation = gen_random_uuid() RETURNING incarnation', []);
    expect((await get(`?cursor=${cursor}`)).status).to.equal(410);
  });

  for (const query of ['limit=0', 'limit=5001', 'limit=x', 'wait=31', 'wait=-1', 'cursor=&cursor=']) {
    it(`refuses ?${query}`, async () => expect((await get(`?${query}`)).status).to.equal(400));
  }
});
