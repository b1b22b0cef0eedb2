// A failover to a standby that lags, or a restored backup, takes back what was committed: whoever follows the feed is told, and nothing of the time
// line that is gone is sent any more (I6, I12). The same address goes on, and the processes stay up.
import { once } from 'node:events';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { openFeed, readFeedPage } from '../../src/api/feed.js';
import { createReadPage } from '../../src/api/sharedPages.js';
import { openEventStream, type StreamEvent } from '../support/eventStream.js';
import { insertTasks } from '../support/live.js';
import { createItem } from '../support/operations.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { openTimeLine, rewind } from '../support/timeLine.js';

const WORKSPACE = 'default';
const ids = (label: string, count: number) => Array.from({ length: count }, (_, index) => `${label}-${index}`);

describe('when the database is on another time line', () => {
  let system: System;
  beforeEach(async () => {
    system = await startSystem(import.meta.url);
    await write(...ids('kept', 5));
  });
  afterEach(() => system.stop());

  async function write(...taskIds: string[]) {
    const answer = await system.push(taskIds.map((id) => createItem(id)));
    expect(answer.body.summary).to.include({ success: taskIds.length });
  }
  const readSeq = async () =>
    (await system.database.select<{ seq: number }>('SELECT seq FROM workspaces', []))[0]?.seq ?? expect.fail();
  const changes = (query = '', headers = {}) => system.request('GET', `/api/sync/changes${query}`, undefined, headers);

  /** A stream, and the ids of the tasks that it has brought. */
  async function openStream(cursor = '') {
    const brought: StreamEvent[] = [];
    const stream = openEventStream(`${system.url}/api/sync/stream`, (event) => brought.push(event), cursor);
    await eventually(() => stream.events.some(({ name }) => name === 'ready'));
    const resync = () => stream.events.find(({ name }) => name === 'resync');
    return { stream, resync, idsOf: () => brought.map(({ data }) => data.task.id), brought };
  }

  it('a stream ends with resync though nobody writes, and brings nothing of the new one', async () => {
    const seq = await readSeq();
    const followed = await openStream();
    await write(...ids('lost', 10));
    await eventually(() => followed.brought.length === 10);
    await rewind(system.database, seq);
    const event = await eventually(() => followed.resync());
    expect(event.data).to.include({ reason: 'restored' });
    await eventually(() => followed.stream.ended());
    await write('new-1');
    expect(followed.idsOf()).to.deep.equal(ids('lost', 10));
    expect(event.data.cursor).to.equal(followed.brought.at(-1)?.data.cursor);
    const again = openEventStream(`${system.url}/api/sync/stream`, () => undefined, event.data.cursor);
    await eventually(() => again.head() !== '');
    expect(again.head()).to.match(/^HTTP\/1\.1 410/);
    again.close();
  });

  it('a stream whose seqs are counted again by the new one misses nothing: it ends before', async () => {
    const seq = await readSeq();
    const followed = await openStream();
    await write(...ids('lost', 30));
    await eventually(() => followed.brought.length === 30);
    await rewind(system.database, seq);
    // More than the head that the old stream had reached.
    await write(...ids('new', 40));
    await eventually(() => followed.resync());
    expect(followed.idsOf()).to.deep.equal(ids('lost', 30));
    // A device that bootstraps now and follows on the same process gets what is there, and no ghosts.
    const { body } = await changes('?limit=5000');
    expect(body.changes.map((task: { id: string }) => task.id)).to.deep.equal([...ids('kept', 5), ...ids('new', 40)]);
    const fresh = await openStream(body.cursor);
    await write('new-after');
    await eventually(() => fresh.brought.length > 0);
    expect(fresh.idsOf()).to.deep.equal(['new-after']);
    expect(fresh.brought[0]?.data.prev_cursor).to.equal(body.cursor);
    fresh.stream.close();
  });

  it('a stream ends as well where only the seq went back', async () => {
    const seq = await readSeq();
    const followed = await openStream();
    await write(...ids('lost', 3));
    await eventually(() => followed.brought.length === 3);
    await rewind(system.database, seq, { identity: false });
    await eventually(() => followed.resync());
    expect((await changes(`?cursor=${followed.resync()?.data.cursor}`)).status).to.equal(410);
  });

  it('a WebSocket ends with resync and 1008, which says to bootstrap', async () => {
    const seq = await readSeq();
    const socket = new WebSocket(`${system.url.replace('http', 'ws')}/api/sync/ws`);
    // biome-ignore lint/suspicious/noExplicitAny: tests read messages freely
    const messages: any[] = [];
    socket.on('message', (data) => void messages.push(JSON.parse(data.toString())));
    await eventually(() => messages.some(({ type }) => type === 'ready'));
    await write(...ids('lost', 3));
    await eventually(() => messages.filter(({ type }) => type === 'change').length === 3);
    const closed = once(socket, 'close');
    await rewind(system.database, seq);
    expect((await closed)[0]).to.equal(1008);
    expect(messages.at(-1)).to.include({ type: 'resync', reason: 'restored' });
  });

  it('a long poll that waits is answered 410', async () => {
    const seq = await readSeq();
    await write(...ids('lost', 3));
    const { cursor } = (await changes('?limit=5000')).body;
    const startedAt = performance.now();
    const polling = changes(`?wait=30&cursor=${cursor}`);
    await rewind(system.database, seq);
    await write('new-1');
    const answer = await polling;
    expect(answer.status).to.equal(410);
    expect(answer.body.code).to.equal('cursor_expired');
    expect(performance.now() - startedAt).to.be.lessThan(25_000);
  });

  it('a bootstrap by pages is answered 410, also where its next page was read for others just before', async () => {
    const seq = await readSeq();
    const timeLine = await openTimeLine(system.database);
    const readPage = createReadPage(system.database, timeLine, 60_000);
    const form = { limit: 2, maxBytes: 1_000_000, separator: ',', terminator: '' };
    const open = () => openFeed({ database: system.database, timeLine }, WORKSPACE, undefined);
    await write(...ids('lost', 3));
    const { next } = await readFeedPage(readPage, await open(), form);
    const kept = await readFeedPage(readPage, next, form);
    await rewind(system.database, seq);
    await write('new-1');
    const fresh = await open();
    const first = await readFeedPage(readPage, fresh, form);
    const second = await readFeedPage(readPage, first.next, form);
    expect(second.bytes).to.not.equal(kept.bytes);
    const refused = await readFeedPage(readPage, kept.next, form).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refused).to.include({ code: 'cursor_expired' });
  });

  it('an answer in lines ends without its last one', async () => {
    await insertTasks(system.config.database.url ?? '', 'large', 2_000, 9_000);
    const response = await fetch(`${system.url}/api/sync/changes`, {
      headers: { accept: 'application/x-ndjson', connection: 'close' },
    });
    // Nobody reads: the server stands still after what the buffers of the system take.
    await rewind(system.database, 5);
    await eventually(async () => (await changes()).body.changes.length === 5);
    const text = await response.text().catch((error: unknown) => String(error));
    expect(text).to.not.match(/"cursor"/);
  });

  it('what the digest and the first page say belongs to the new one', async () => {
    const seq = await readSeq();
    await write(...ids('lost', 3));
    const before = (await system.request('GET', '/api/sync/digest')).body;
    await rewind(system.database, seq);
    await write(...ids('new', 3));
    const after = (await system.request('GET', '/api/sync/digest')).body;
    const page = (await changes('?limit=5000')).body;
    expect(after.cursor).to.equal(page.cursor).and.not.equal(before.cursor);
    expect(after.buckets).to.not.deep.equal(before.buckets);
  });
});

describe('a batch that is waited for when the database is replaced by an earlier state', () => {
  it('is answered 503 where it is not in it any more (I1): sent again, it is stored again', async () => {
    const system = await startSystem(import.meta.url, { workers: 0 });
    const items = [createItem('lost'), createItem('lost-2')];
    const pushing = system.push(items, {}, { prefer: 'wait=30' });
    await eventually(async () => (await system.database.select('SELECT 1 FROM sync_queue', [])).length === 2);
    await rewind(system.database, 0);
    const answer = await pushing;
    expect(answer.status).to.equal(503);
    expect(answer.body.code).to.equal('unavailable');
    await system.startWorker();
    expect((await system.push(items, {}, { prefer: 'wait=30' })).body.summary).to.include({ success: 2 });
    await system.stop();
  });
});
