// Clients that ask and do not read, or wait for nothing: what they hold is bounded, and for how long (I8).
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { expectProblem } from '../support/contract.js';
import { metricValue, scrape } from '../support/metrics.js';
import { createItem, newId, updateItem } from '../support/operations.js';
import { eventually, type System, startSystem } from '../support/system.js';

const STALL_MS = 500;
/** Two pages. */
const UNREAD_BYTES = 8 * 1_048_576 + 65_536;
const LONGEST = '\u0001'.repeat(20_000);

/** Asks, again and again on one connection, and reads nothing. */
async function askOnly({ url }: System, path: string, times: number, accept = '*/*'): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').pause();
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: ${accept}\r\n\r\n`.repeat(times));
  return socket;
}

const unreadBytes = async ({ url }: System) => metricValue(await scrape(url), 'task_sync_unread_answer_bytes') ?? 0;

/** @returns the id of one of the tasks */
async function fill(system: System): Promise<string> {
  const id = newId('long');
  const items = Array.from({ length: 40 }, (_, index) => createItem(`${id}-${index}`, { description: LONGEST }));
  expect((await system.push(items)).body.summary.success).to.equal(40);
  return `${id}-0`;
}

/** Answers on their way when their connection went, or was cut. */
async function abortedAnswers({ url }: System, route: string): Promise<number> {
  const labels = { method: 'GET', route, status: 'aborted' };
  return metricValue(await scrape(url), 'task_sync_http_request_duration_seconds_count', labels) ?? 0;
}

describe('clients that do not read', () => {
  let system: System;
  let socket: Socket;
  let taskId = '';

  before(async () => {
    const env = { ANSWER_STALL_TIMEOUT_MS: String(STALL_MS), BODY_LIMIT: String(16 * 1_048_576) };
    system = await startSystem(import.meta.url, { env });
    taskId = await fill(system);
  });
  after(() => system.stop());
  afterEach(() => void socket.destroy());

  for (const [path, times, accept] of [
    ['/api/tasks?limit=1000', 3, '*/*'],
    ['/api/sync/changes?limit=5000', 3, '*/*'],
    ['/api/sync/queue?status=synced&limit=1000', 3, '*/*'],
    ['/api/sync/changes', 20, 'application/x-ndjson'],
  ] as const) {
    it(`are cut, and what they were to be sent is let go: ${path}, ${accept}`, async () => {
      socket = await askOnly(system, path, times, accept);
      await eventually(async () => (await unreadBytes(system)) > 0);
      await eventually(async () => (await unreadBytes(system)) === 0);
      socket.resume();
      if (!socket.closed) await once(socket, 'close');
    });
  }

  it('are cut where each answer is short', async () => {
    socket = await askOnly(system, `/api/tasks/${taskId}`, 200);
    await eventually(async () => (await abortedAnswers(system, '/api/tasks/:id')) === 1);
    socket.resume();
    if (!socket.closed) await once(socket, 'close');
  });

  it('are not those who read slowly: their answer comes whole', async () => {
    socket = await askOnly(system, '/api/tasks?limit=1000', 1);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      socket.pause();
      setTimeout(() => socket.resume(), 5);
    });
    socket.resume();
    await eventually(() => text.endsWith(']'));
    const [head = '', body = ''] = text.split('\r\n\r\n');
    expect(body.length).to.equal(Number(/^content-length: (\d+)$/im.exec(head)?.[1]));
    expect(JSON.parse(body)).to.have.lengthOf.above(10);
  });
});

describe('long answers that nobody reads', () => {
  it('hold only so much: further lists are 503 until it is taken, while batches and small reads are answered', async () => {
    const env = { UNREAD_ANSWERS_LIMIT: String(UNREAD_BYTES), BODY_LIMIT: String(16 * 1_048_576) };
    const system = await startSystem(import.meta.url, { env });
    await fill(system);
    const list = () => system.request('GET', '/api/tasks?limit=1000');
    const sockets: Socket[] = [];
    // The first of them may fit into the buffers of the machine.
    while ((await unreadBytes(system)) < UNREAD_BYTES * 0.9 && sockets.length < 20) {
      sockets.push(await askOnly(system, '/api/tasks?limit=1000', 2));
    }
    const refused = await eventually(async () => {
      const answer = await list();
      return answer.status === 503 && answer;
    });
    expectProblem(refused, 503, 'overloaded');
    expect(refused.body.detail).to.include('UNREAD_ANSWERS_LIMIT');
    expect(await unreadBytes(system)).to.be.at.most(UNREAD_BYTES);
    expect((await system.request('GET', '/health/live')).status).to.equal(200);
    expect((await system.push([createItem(newId('small'))])).body.summary.success).to.equal(1);
    for (const socket of sockets) socket.destroy();
    await eventually(async () => (await list()).status === 200);
    await system.stop();
  });
});

describe('streams that are asked for one behind the other', () => {
  it('are open one at a time, and leave no place taken when their connection goes', async () => {
    const system = await startSystem(import.meta.url);
    const open = async () => metricValue(await scrape(system.url), 'task_sync_streams_open', { kind: 'sse' });
    const socket = await askOnly(system, '/api/sync/stream', 20);
    await eventually(async () => ((await open()) ?? 0) > 0);
    expect(await open()).to.equal(1);
    socket.destroy();
    await eventually(async () => (await open()) === 0);
    await system.stop();
  });
});

describe('polls that wait', () => {
  it('count as streams do, beyond which they are 503; so do streams of lines; those that have an answer are answered', async () => {
    const system = await startSystem(import.meta.url, { env: { STREAM_MAX: '3' } });
    const id = newId('task');
    const { cursor } = (await system.push([createItem(id)])).body;
    const poll = () => system.request('GET', `/api/sync/changes?wait=30&cursor=${cursor}`);
    const polls = async () => metricValue(await scrape(system.url), 'task_sync_streams_open', { kind: 'poll' });
    const waiting = [poll(), poll(), poll()];
    await eventually(async () => (await polls()) === 3);
    const refused = await poll();
    expectProblem(refused, 503, 'overloaded');
    expect(Number(refused.headers.get('retry-after'))).to.be.within(1, 5);
    expectProblem(
      await system.request('GET', '/api/sync/changes', undefined, { accept: 'application/x-ndjson' }),
      503,
      'overloaded',
    );
    expect((await system.request('GET', '/api/sync/changes?wait=30')).body.changes).to.have.lengthOf(1);
    expect((await system.request('GET', `/api/sync/changes?cursor=${cursor}`)).body.changes).to.deep.equal([]);
    await system.push([updateItem(id, { title: 'changed' })]);
    for (const { body } of await Promise.all(waiting)) expect(body.changes).to.have.lengthOf(1);
    await eventually(async () => (await polls()) === 0);
    const lines = await system.request('GET', '/api/sync/changes', undefined, { accept: 'application/x-ndjson' });
    expect(lines.status).to.equal(200);
    await system.stop();
  });
});
