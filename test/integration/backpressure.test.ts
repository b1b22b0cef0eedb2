// I8: an overload is answered 429 or 503 with Retry-After; nothing that was accepted is lost by it.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { expectProblem } from '../support/contract.js';
import { metricValue, scrape } from '../support/metrics.js';
import { createItem, newId } from '../support/operations.js';
import { type Answer, eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const items = (count: number) => Array.from({ length: count }, () => createItem(newId('task')));
const ASYNC = { prefer: 'respond-async' };
const ORIGIN = 'https://app.example';

function expectRefused(answer: Answer, status: 429 | 503, code: string) {
  expectProblem(answer, status, code);
  expect(answer.headers.get('retry-after')).to.match(/^[1-9]\d*$/);
}

const shedBy = async (system: System, reason: string) =>
  metricValue(await scrape(system.url), 'task_sync_requests_shed_total', { reason });

describe('a workspace with too much that waits', () => {
  let system: System;
  before(async () => {
    const env = { PENDING_MAX_PER_WORKSPACE: '100', CORS_ORIGIN: ORIGIN };
    system = await withQueue(startSystem(import.meta.url, { workers: 0, env }));
  });
  after(() => system.stop());

  it('gets 429 with Retry-After, over HTTP and WebSocket, until it was applied; nothing accepted is lost', async () => {
    const accepted = [...items(60), ...items(60)];
    expect((await system.push(accepted.slice(0, 60), {}, ASYNC)).status).to.equal(202);
    expect((await system.push(accepted.slice(60), {}, ASYNC)).status).to.equal(202);
    const refused = items(1);
    const answer = await system.push(refused, {}, { ...ASYNC, origin: ORIGIN });
    expectRefused(answer, 429, 'too_many_pending');
    // Else no app in a browser could read when to come back.
    expect(answer.headers.get('access-control-allow-origin')).to.equal(ORIGIN);
    expect(answer.headers.get('access-control-expose-headers')).to.include('Retry-After');

    const socket = new WebSocket(`${system.url.replace('http', 'ws')}/api/sync/ws`);
    await once(socket, 'message');
    const answered = once(socket, 'message');
    socket.send(JSON.stringify({ type: 'push', ref: 'r1', items: refused }));
    const { type, ref, problem } = JSON.parse(String((await answered)[0]));
    expect({ type, ref }).to.deep.equal({ type: 'error', ref: 'r1' });
    expect(problem).to.include({ status: 429, code: 'too_many_pending' });
    expect(problem.retry_after_s).to.be.at.least(1).and.to.satisfy(Number.isInteger);
    socket.close();

    // A single task is written at once: it does not wait, so it is not refused.
    expect((await system.request('POST', '/api/tasks', { title: 'direct' })).status).to.equal(201);
    expect(await shedBy(system, 'pending_per_workspace')).to.equal(2);

    await system.startWorker();
    const pushed = await eventually(async () => {
      const answer = await system.push(refused);
      return answer.status === 200 && answer;
    });
    expect(pushed.body.processed_items[0].status).to.equal('success');
    expect(pushed.body.processed_items[0]).to.not.have.property('duplicate');
    const { body } = await system.push(accepted);
    expect(body.summary).to.include({ success: 120, pending: 0 });
    expect(body.processed_items.every((item: { duplicate?: boolean }) => item.duplicate === true)).to.equal(true);
  });
});

describe('a server with too much that waits', () => {
  it('answers 503 to a body that it has not read, also for what others accepted before it started', async () => {
    const system = await withQueue(startSystem(import.meta.url, { workers: 0, env: { PENDING_MAX: '50' } }));
    try {
      await system.database.select(
        `INSERT INTO sync_queue (workspace_id, client_id, op_id, content_hash, task_id, operation, task_data, updated_at, max_retries, created_at)
         SELECT 'another', 'phone', 'op-' || n, '', 'task', 'create', '{}', now(), 3, now() FROM generate_series(1, 50) n RETURNING id`,
        [],
      );
      await eventually(async () => {
        const answer = await system.push(items(1), {}, ASYNC);
        return answer.status === 503 && answer;
      });
      expectRefused(await system.request('POST', '/api/sync/batch', '{ not JSON at all'), 503, 'overloaded');
      expect(await shedBy(system, 'pending')).to.be.at.least(2);
    } finally {
      await system.stop();
    }
  });
});

describe('a server that stores as much as it can', () => {
  it('refuses one more at once and answers everything else', async () => {
    // The two that wait have to wait until all has been asked, on a slow machine as well.
    const env = {
      MAX_CONCURRENT_BATCHES: '2',
      DATABASE_LOCK_TIMEOUT_MS: '60000',
      DATABASE_STATEMENT_TIMEOUT_MS: '60000',
    };
    const system = await withQueue(startSystem(import.meta.url, { workers: 0, env }));
    try {
      let writing: Promise<Answer>[] = [];
      await system.database.transaction(async (transaction) => {
        await system.database.select("SELECT id FROM workspaces WHERE id = 'default' FOR UPDATE", [], transaction);
        writing = [1, 2].map((n) => system.request('POST', '/api/tasks', { title: `waits ${n}` }));
        await eventually(async () => metricValue(await scrape(system.url), 'task_sync_batches_storing') === 2);
        expectRefused(await system.push(items(1)), 503, 'overloaded');
        expectRefused(await system.request('POST', '/api/tasks', { title: 'x' }), 503, 'overloaded');
        expectRefused(await system.request('PATCH', '/api/tasks/x', { title: 'x' }), 503, 'overloaded');
        for (const path of ['/health', '/health/ready', '/metrics', '/api/tasks', '/api/sync/changes']) {
          expect((await system.request('GET', path)).status, path).to.equal(200);
        }
        const lines = await system.request('GET', '/api/sync/changes', undefined, { accept: 'application/x-ndjson' });
        expectRefused(lines, 503, 'overloaded');
      });
      for (const each of writing) expect((await each).status).to.equal(201);
      expect((await system.push(items(1), {}, ASYNC)).status).to.equal(202);
      expect(await shedBy(system, 'concurrent_batches')).to.equal(4);
    } finally {
      await system.stop();
    }
  });
});

describe('a server where too many wait', () => {
  it('accepts, and answers 202 at once', async () => {
    const system = await withQueue(startSystem(import.meta.url, { workers: 0, env: { SYNC_MAX_WAITING: '1' } }));
    try {
      const waiting = system.push(items(1), {}, { prefer: 'wait=20' });
      await eventually(async () => metricValue(await scrape(system.url), 'task_sync_requests_waiting') === 1);
      const next = await system.push(items(1), {}, { prefer: 'wait=20' });
      expect(next.status).to.equal(202);
      expect(metricValue(await scrape(system.url), 'task_sync_requests_waiting'), 'the first one still waits').to.equal(
        1,
      );
      await system.startWorker();
      expect((await waiting).status).to.equal(200);
    } finally {
      await system.stop();
    }
  });
});

describe('a server that is behind', () => {
  it('refuses what is expensive until it has caught up', async () => {
    const system = await withQueue(startSystem(import.meta.url, { env: { LOAD_SHED_LAG_MS: '30' } }));
    // The api runs in this very process: keeping it busy is keeping the api busy.
    const keepBusy = () => {
      for (const until = performance.now() + 60; performance.now() < until; );
    };
    const busy = setInterval(keepBusy, 1);
    try {
      const refused = await eventually(async () => {
        const answer = await system.push(items(1));
        return answer.status === 503 && answer;
      });
      expectRefused(refused, 503, 'overloaded');
      expect(refused.body.detail).to.include('LOAD_SHED_LAG_MS');
      for (const path of ['/health', '/metrics', '/api/sync/status']) {
        expect((await system.request('GET', path)).status, path).to.equal(200);
      }
      for (const path of ['/api/tasks', '/api/sync/changes']) {
        expectRefused(await system.request('GET', path), 503, 'overloaded');
      }
      clearInterval(busy);
      await eventually(async () => (await system.push(items(1))).status === 200);
      expect(await shedBy(system, 'event_loop_lag')).to.be.at.least(1);
    } finally {
      clearInterval(busy);
      await system.stop();
    }
  });
});

describe('a body that is too large to be read', () => {
  it('keeps nobody out who arrives at the same moment', async () => {
    const system = await withQueue(startSystem(import.meta.url, {}));
    const { hostname, port } = new URL(system.url);
    const post = (body: string) =>
      `POST /api/sync/batch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    try {
      for (let round = 0; round < 10; round += 1) {
        const sockets = [1, 2].map(() => connect(Number(port), hostname));
        const firstLine = async (socket: Socket) =>
          String((await once(socket, 'data'))[0]).slice(0, 'HTTP/1.1 000'.length);
        // Answered once, both connections are known to the server, and what they bring next is read in one turn of its event loop.
        for (const socket of sockets) socket.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n');
        expect(await Promise.all(sockets.map(firstLine))).to.deep.equal(['HTTP/1.1 200', 'HTTP/1.1 200']);
        const answers = sockets.map(firstLine);
        sockets[0]?.write(post(`{"items":["${'x'.repeat(2 * system.config.bodyLimitBytes)}"]}`));
        sockets[1]?.write(post('{"items":[]}'));
        expect(await Promise.all(answers)).to.deep.equal(['HTTP/1.1 413', 'HTTP/1.1 400']);
        for (const socket of sockets) socket.destroy();
      }
    } finally {
      await system.stop();
    }
  });
});
