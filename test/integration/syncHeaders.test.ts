// Sync-Cursor and Sync-Pending: which answers carry which, that a cursor is where the answer is visible (I6), and that none is from another
// incarnation of the database.
import { expect } from 'chai';
import { refuseTitles } from '../support/faults.js';
import { createItem, newId } from '../support/operations.js';
import { type Answer, eventually, type System, startSystem } from '../support/system.js';

const cursorIn = (answer: Answer) => answer.headers.get('sync-cursor');
const pendingIn = (answer: Answer) => answer.headers.get('sync-pending');

describe('the headers that show the sync state', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  const get = (path: string, headers = {}) => system.request('GET', path, undefined, headers);
  const changesAfter = async (cursor: string | null) => (await get(`/api/sync/changes?cursor=${cursor}`)).body.changes;

  it('a direct write tells the cursor at which it is visible, and behind which only later ones are', async () => {
    const id = newId('t');
    const path = `/api/tasks/${id}`;
    const writes = [
      await system.request('POST', '/api/tasks', { id, title: 'a' }),
      await system.request('PUT', path, { title: 'b' }),
      await system.request('PATCH', path, { completed: true }),
      await system.request('DELETE', path),
    ];
    const seqs = writes.map(({ body }) => (body.task ?? body).seq);
    const cursors = writes.map(cursorIn);
    expect(new Set(cursors).size).to.equal(4);
    for (const [index, cursor] of cursors.entries()) {
      const seen = (await changesAfter(cursor)).map((task: { seq: number }) => task.seq);
      expect(seen).to.deep.equal(index === 3 ? [] : [seqs[3]]);
    }
    expect(cursors[3]).to.equal((await get('/api/sync/changes')).body.cursor);
    expect(writes.map(pendingIn)).to.deep.equal([null, null, null, null]);
  });

  it('of writers at once each gets its own', async () => {
    const ids = Array.from({ length: 12 }, () => newId('t'));
    const answers = await Promise.all(ids.map((id) => system.request('POST', '/api/tasks', { id, title: 'x' })));
    for (const answer of answers) {
      const later = await changesAfter(cursorIn(answer));
      const wanted = answers.map(({ body }) => body.seq).filter((seq) => seq > answer.body.seq);
      expect(later.map((task: { seq: number }) => task.seq)).to.have.members(wanted);
    }
  });

  it('reapplying is a write too', async () => {
    const id = newId('t');
    await system.push([createItem(id, { updated_at: '2026-01-31T10:00:00Z' })]);
    const { body } = await system.push([createItem(id, { updated_at: '2026-01-31T09:00:00Z' })]);
    expect(body.summary.conflict).to.equal(1);
    const [lost] = (await get(`/api/tasks/${id}/history`)).body;
    const again = await system.request('POST', `/api/sync/operations/${lost.id}/reapply`);
    expect(again.status).to.equal(201);
    expect(cursorIn(again)).to.equal((await get('/api/sync/changes')).body.cursor);
  });

  it('digest, page and stream tell the cursor that they tell in their body', async () => {
    await system.push([createItem(newId('t')), createItem(newId('t'))]);
    for (const path of ['/api/sync/digest', '/api/sync/changes?limit=1', '/api/sync/changes?bucket=7']) {
      const answer = await get(path);
      expect(cursorIn(answer), path).to.be.a('string').that.equals(answer.body.cursor);
    }
    const ending = new AbortController();
    const stream = await fetch(`${system.url}/api/sync/stream`, { signal: ending.signal });
    expect(stream.headers.get('sync-cursor')).to.equal((await get('/api/sync/digest')).body.cursor);
    ending.abort();
  });

  it('lines, single tasks, lists, histories, refusals and 304 tell none', async () => {
    const { body, headers } = await system.request('POST', '/api/tasks', { title: 't' });
    const path = `/api/tasks/${body.id}`;
    const tag = headers.get('etag') ?? '';
    const answers = [
      await get('/api/sync/changes', { accept: 'application/x-ndjson' }),
      await get(path),
      await get(path, { 'if-none-match': tag }),
      await get('/api/tasks'),
      await get(`${path}/history`),
      await get('/api/sync/queue?status=synced'),
      await system.request('PATCH', path, { title: 'x' }, { 'if-match': '"0"' }),
      await system.request('POST', '/api/tasks', { id: body.id, title: 't' }),
      await system.request('PATCH', `/api/tasks/${newId('none')}`, { title: 'x' }),
    ];
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 304, 200, 200, 200, 412, 409, 404]);
    for (const answer of answers) expect([cursorIn(answer), pendingIn(answer)]).to.deep.equal([null, null]);
  });

  it('a write after the database became another one tells a cursor of that one', async () => {
    const before = cursorIn(await system.request('POST', '/api/tasks', { title: 'before' }));
    await system.database.select('UPDATE sync_identity SET incarnation = gen_random_uuid()', []);
    const after = cursorIn(await system.request('POST', '/api/tasks', { title: 'after' }));
    expect((await get(`/api/sync/changes?cursor=${before}`)).status).to.equal(410);
    expect((await get(`/api/sync/changes?cursor=${after}`)).body.changes).to.deep.equal([]);
  });
});

describe('Sync-Pending', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
  });
  after(() => system.stop());

  const queue = (query = '') => system.request('GET', `/api/sync/queue${query}`);

  it('counts what waits where the answer knows all of it', async () => {
    const async = { prefer: 'respond-async' };
    const pushed = await system.push([createItem(newId('a')), createItem(newId('b'))], {}, async);
    expect(pendingIn(pushed)).to.equal('2');
    await system.push([createItem(newId('c'))], {}, async);
    expect(pendingIn(await system.request('GET', '/api/sync/status'))).to.equal('3');
    expect(pendingIn(await queue())).to.equal('3');
    expect(pendingIn(await queue('?limit=3'))).to.equal('3');
    const cut = await queue('?limit=2');
    expect(pendingIn(cut), 'a page of some').to.equal(null);
    const next = /cursor=([^>&]+)/.exec(cut.headers.get('link') ?? '')?.[1];
    expect(pendingIn(await queue(`?limit=2&cursor=${next}`)), 'the rest').to.equal(null);
    expect(pendingIn(await queue('?status=failed'))).to.equal(null);
    expect(pendingIn(await system.request('POST', '/api/sync/trigger', undefined, async))).to.equal('3');
  });

  it('tells of a retry whether it is settled', async () => {
    const allow = await refuseTitles(system.database, 'Refused', '22000');
    const worker = await system.startWorker();
    const { body } = await system.push([createItem(newId('d'), { title: 'Refused' })], {}, { prefer: 'wait=20' });
    expect(body.summary.error).to.equal(1);
    await worker.run('the test wants it');
    await allow();
    const [failed] = (await queue('?status=failed')).body;
    const retry = (prefer: string) =>
      system.request('POST', `/api/sync/queue/${failed.id}/retry`, undefined, { prefer });
    expect(pendingIn(await retry('respond-async'))).to.equal('1');
    const other = await system.startWorker();
    await eventually(async () => pendingIn(await system.request('GET', '/api/sync/status')) === '0');
    expect(pendingIn(await system.request('POST', '/api/sync/trigger'))).to.equal('0');
    await other.run('the test wants it');
  });
});
