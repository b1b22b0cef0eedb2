// The live stream: changes and batch progress as they happen, resumed without gap or repeat wherever the connection broke.
import { expect } from 'chai';
import { openFeed } from '../../src/api/feed.js';
import { createLevels } from '../../src/api/levels.js';
import { createTails } from '../../src/api/tails.js';
import { createLogger } from '../../src/logger.js';
import type { Database } from '../../src/storage/database.js';
import type { BatchProgress } from '../../src/storage/readBatch.js';
import { sendRaw } from '../chaos/abuse/rawHttp.js';
import { createRandom } from '../support/oracle.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { openTimeLine } from '../support/timeLine.js';

interface Event {
  name: string;
  id: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read events freely
  data: any;
}

/** A small EventSource: reads events until it is closed. */
async function openStream(url: string, headers: Record<string, string> = {}) {
  const controller = new AbortController();
  const response = await fetch(url, { headers: { connection: 'close', ...headers }, signal: controller.signal });
  const events: Event[] = [];
  const reading = (async () => {
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const field = (name: string) => block.match(new RegExp(`^${name}:\\s?(.*)$`, 'm'))?.[1];
        const data = field('data');
        if (data !== undefined)
          events.push({ name: field('event') ?? 'message', id: field('id') ?? '', data: JSON.parse(data) });
      }
    }
  })().catch((error: unknown) => {
    if (!controller.signal.aborted) throw error;
  });
  return {
    status: response.status,
    headers: response.headers,
    events,
    changes: () => events.filter((event) => event.name === 'change'),
    async close() {
      controller.abort();
      await reading;
    },
  };
}

const create = (id: string) => ({
  client_id: 'phone',
  op_id: id,
  operation: 'create',
  data: { id, title: `Title of ${id}` },
});

describe('the stream', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  it('refuses a Host that is none with 400', async () => {
    const received = await sendRaw(system.url, 'GET /api/sync/stream HTTP/1.1\r\nHost: a b\r\n\r\n', 5_000);
    expect(received).to.match(/^HTTP\/1\.1 400 .*"code":"invalid_request"/s);
  });

  const open = (query = '', headers = {}) => openStream(`${system.url}/api/sync/stream${query}`, headers);

  it('begins with ready, then brings what devices push and what is written directly, chained by cursors', async () => {
    const stream = await open();
    expect(stream.status).to.equal(200);
    expect(stream.headers.get('content-type')).to.match(/^text\/event-stream/);
    await eventually(() => stream.events.length > 0);
    expect(stream.events[0]).to.deep.include({ name: 'ready' });
    await system.push([create('s-1'), create('s-2')]);
    await system.request('PATCH', '/api/tasks/s-1', { completed: true });
    await system.request('DELETE', '/api/tasks/s-2');
    await eventually(() => stream.changes().at(-1)?.data.task.deleted === true);
    let previous = stream.events[0]?.data.cursor;
    for (const { id, data } of stream.changes()) {
      expect(data.prev_cursor).to.equal(previous);
      expect(data.cursor).to.equal(id);
      previous = data.cursor;
    }
    expect(stream.changes().at(-1)?.data.task).to.include({ id: 's-2', deleted: true });
    await stream.close();
  });

  it('brings each change to all that follow a workspace at once, whichever of them reads it (I6)', async () => {
    const streams = await Promise.all([open(), open(), open()]);
    await eventually(() => streams.every((stream) => stream.events.length > 0));
    // Nothing but the change itself wakes them: no progress of a batch, and no look at whether they are still wanted, which comes after 15 s.
    for (const [round, title] of ['first', 'second', 'third'].entries()) {
      const method = round === 0 ? 'POST' : 'PATCH';
      const path = round === 0 ? '/api/tasks' : '/api/tasks/shared-1';
      await system.request(method, path, round === 0 ? { id: 'shared-1', title } : { title });
      await eventually(() => streams.every((stream) => stream.changes().at(-1)?.data.task.title === title), 10_000);
    }
    await Promise.all(streams.map((stream) => stream.close()));
  });

  it('tells how far a batch is', async () => {
    const stream = await open();
    await eventually(() => stream.events.length > 0);
    const answer = await system.push(Array.from({ length: 120 }, (_, index) => create(`progress-${index}`)));
    const last = await eventually(() =>
      stream.events.find((event) => event.name === 'batch' && event.data.status === 'completed'),
    );
    expect(last.data).to.deep.equal({
      batch_id: answer.body.batch_id,
      processed: 120,
      total: 120,
      percent: 100,
      status: 'completed',
    });
    await stream.close();
  });

  it('continues from ?cursor and from Last-Event-ID, after a bootstrap too', async () => {
    const { cursor } = (await system.request('GET', '/api/sync/changes?limit=5000')).body;
    await system.push([create('resume-1')]);
    for (const stream of [await open(`?cursor=${cursor}`), await open('', { 'last-event-id': cursor })]) {
      await eventually(() => stream.changes().length === 1);
      expect(stream.changes()[0]?.data.task.id).to.equal('resume-1');
      await stream.close();
    }
  });

  it('after a first page of a bootstrap brings the rest, without what was deleted before', async () => {
    await system.push([
      create('rest-1'),
      { client_id: 'phone', op_id: 'rest-d', operation: 'delete', data: { id: 'rest-1' } },
    ]);
    const page = (await system.request('GET', '/api/sync/changes?limit=1')).body;
    const all = (await system.request('GET', '/api/sync/changes?limit=5000')).body;
    const stream = await open(`?cursor=${page.cursor}`);
    await eventually(() => stream.changes().length === all.changes.length - 1);
    await system.push([create('rest-2')]);
    await eventually(() => stream.changes().at(-1)?.data.task.id === 'rest-2');
    expect(stream.changes().some(({ data }) => data.task.id === 'rest-1')).to.equal(false);
    expect(stream.changes()).to.have.length(all.changes.length);
    await stream.close();
  });

  it('has neither gap nor repeat when connections are cut at random while others write', async () => {
    const random = createRandom(7);
    const start = (await system.request('GET', '/api/sync/changes?limit=5000')).body;
    const COUNT = 1_500;
    let isWriting = true;
    const writing = (async () => {
      for (let sent = 0; sent < COUNT; sent += 50) {
        await system.push(Array.from({ length: 50 }, (_, index) => create(`cut-${sent + index}`)));
      }
      isWriting = false;
    })();
    const seen: string[] = [];
    let cursor: string = start.cursor;
    while (isWriting || seen.length < COUNT) {
      const stream = await open('', { 'last-event-id': cursor });
      const wanted = 1 + Math.floor(random() * 120);
      await eventually(() => stream.changes().length >= Math.min(wanted, COUNT - seen.length));
      await stream.close();
      for (const { data } of stream.changes()) {
        expect(data.prev_cursor).to.equal(cursor);
        cursor = data.cursor;
        seen.push(data.task.id);
      }
    }
    await writing;
    expect(seen).to.deep.equal(Array.from({ length: COUNT }, (_, index) => `cut-${index}`));
  });

  it('refuses a cursor of another feed with 410 before it begins', async () => {
    const { cursor } = (await system.request('GET', '/api/sync/changes?limit=1')).body;
    const [seq, liveUntil] = Buffer.from(cursor, 'base64url').toString().split('.');
    const forged = Buffer.from(`${seq}.${liveUntil}.${'A'.repeat(16)}`).toString('base64url');
    const stream = await open(`?cursor=${forged}`);
    expect(stream.status).to.equal(410);
    await stream.close();
  });

  describe('that a polyfill opens', () => {
    let cursors: string[];
    before(async () => {
      const at = async () => (await system.request('GET', '/api/sync/changes?limit=5000')).body.cursor;
      cursors = [await at()];
      for (const id of ['s-poly-1', 's-poly-2', 's-poly-3']) {
        await system.push([create(id)]);
        cursors.push(await at());
      }
    });

    /** The tasks that a stream begins with, up to the last one. */
    async function begins(query: string, headers: Record<string, string> = {}) {
      const stream = await open(query, headers);
      await eventually(() => stream.changes().at(-1)?.data.task.id === 's-poly-3');
      const ids = stream.changes().map(({ data }) => data.task.id);
      await stream.close();
      return ids;
    }

    for (const name of ['lastEventId', 'last_event_id', 'Last-Event-ID']) {
      it(`begins at ${name} in the query (I6)`, async () => {
        expect(await begins(`?${name}=${cursors[1]}`)).to.deep.equal(['s-poly-2', 's-poly-3']);
      });

      it(`begins at ${name} rather than at the cursor of its address, and at the header rather than at both`, async () => {
        expect(await begins(`?cursor=${cursors[0]}&${name}=${cursors[2]}`)).to.deep.equal(['s-poly-3']);
        const query = `?cursor=${cursors[0]}&${name}=${cursors[1]}`;
        expect(await begins(query, { 'last-event-id': cursors[2] ?? '' })).to.deep.equal(['s-poly-3']);
      });

      it(`begins at the cursor where ${name} is empty`, async () => {
        expect(await begins(`?${name}=&cursor=${cursors[2]}`)).to.deep.equal(['s-poly-3']);
      });

      it(`is refused with 400 where ${name} is no cursor`, async () => {
        expect((await system.request('GET', `/api/sync/stream?${name}=7`)).status).to.equal(400);
      });
    }
  });
});

describe('the tail of a workspace', () => {
  it('reads how far batches are one time after the other, however many wake-ups come (I8)', async () => {
    const system = await startSystem(import.meta.url);
    const { body } = await system.push([create('heard')]);
    let [reading, most] = [0, 0];
    const database: Database = {
      ...system.database,
      async run(...statement) {
        reading += 1;
        most = Math.max(most, reading);
        return system.database.run<never>(...statement).finally(() => {
          reading -= 1;
        });
      },
    };
    const logger = createLogger({ level: 'error', process: 'test' });
    const timeLine = await openTimeLine(system.database);
    const levels = createLevels(system.database, timeLine, logger);
    const feed = await openFeed({ database: system.database, timeLine }, 'default', undefined);
    const told: BatchProgress[] = [];
    const tail = createTails({ database, timeLine, levels, logger }).follow(feed, (progress) => told.push(progress));
    const incarnation = timeLine.current();
    const moved = { workspaceId: 'default', seq: 1, settledUpTo: 1, batchIds: [body.batch_id], incarnation };
    for (let count = 0; count < 500; count += 1) levels.receive(moved);
    await eventually(() => told.length > 1 && reading === 0);
    expect(told.at(-1)).to.deep.equal({ batchId: body.batch_id, total: 1, pending: 0 });
    expect(most).to.equal(1);
    tail.release();
    levels.close();
    await system.stop();
  });
});

describe('streams beyond the limit', () => {
  it('are refused with 503, and a closed one makes room', async () => {
    const system = await startSystem(import.meta.url, { workers: 0, env: { STREAM_MAX: '1' } });
    const url = `${system.url}/api/sync/stream`;
    const first = await openStream(url);
    const second = await openStream(url);
    expect(second.status).to.equal(503);
    expect(Number(second.headers.get('retry-after'))).to.be.greaterThan(0);
    await second.close();
    await first.close();
    await eventually(async () => {
      const third = await openStream(url);
      await third.close();
      return third.status === 200;
    });
    await system.stop();
  });
});

describe('HEAD of what would last', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { env: { STREAM_MAX: '1' } });
  });
  after(() => system.stop());

  const head = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${system.url}${path}`, { method: 'HEAD', headers, signal: AbortSignal.timeout(10_000) });

  it('answers the headers of a stream and holds no place (I8)', async () => {
    await system.push([create('h-1')]);
    for (let count = 0; count < 3; count += 1) {
      const answer = await head('/api/sync/stream');
      expect(answer.status).to.equal(200);
      expect(answer.headers.get('content-type')).to.equal('text/event-stream');
      expect(answer.headers.get('sync-cursor')).to.match(/./);
      expect(await answer.text()).to.equal('');
    }
    const stream = await openStream(`${system.url}/api/sync/stream`);
    expect(stream.status).to.equal(200);
    expect((await head('/api/sync/stream')).status, 'also where all places are taken').to.equal(200);
    await stream.close();
    expect((await head('/api/sync/stream?cursor=7')).status).to.equal(400);
  });

  it('does not wait, and reads neither lines nor a digest', async () => {
    const { cursor } = (await system.request('GET', '/api/sync/changes')).body;
    const waiting = await head(`/api/sync/changes?wait=30&cursor=${cursor}`);
    expect(waiting.status).to.equal(200);
    expect(waiting.headers.get('sync-cursor')).to.equal(cursor);
    const lines = await head('/api/sync/changes', { accept: 'application/x-ndjson' });
    expect(lines.headers.get('content-type')).to.match(/^application\/x-ndjson/);
    const digest = await head('/api/sync/digest');
    expect(digest.headers.get('sync-cursor')).to.equal((await system.request('GET', '/api/sync/digest')).body.cursor);
  });
});
