// What is the same at every address (DESIGN 5): GET /, health checks, methods, request ids, bodies that cannot be read.
import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { expectProblem, UUID_V7 } from '../support/contract.js';
import { testBackend } from '../support/environment.js';
import { createItem, newId } from '../support/operations.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const READ_ONLY = ['/', '/health', '/health/live', '/health/ready', '/api/sync/status', '/api/sync/queue'];

describe('the service', () => {
  let system: System;

  before(async () => {
    system = await withQueue(startSystem(import.meta.url, { workers: 0, env: { BODY_LIMIT: '4096' } }));
  });
  after(() => system.stop());

  it('says at / what it is', async () => {
    const { status, body } = await system.request('GET', '/');
    expect(status).to.equal(200);
    expect(body).to.have.all.keys('name', 'version', 'status', 'endpoints', 'limits', 'docs');
    expect(body).to.include({ name: 'task-sync', status: 'running' });
    expect(body.version).to.match(/^\d+\.\d+\.\d+/);
    const listed = JSON.stringify(body.endpoints);
    for (const path of ['/api/tasks', '/api/sync/batch', '/api/sync/status', '/api/sync/queue', '/api/sync/trigger']) {
      expect(listed).to.include(path);
    }
  });

  it('says at / what a client has to keep to', async () => {
    const { limits } = (await system.request('GET', '/')).body;
    expect(limits).to.deep.equal({
      max_items: 1_000,
      body_bytes: 4_096,
      max_item_bytes: 4_096 - 128,
      data_fields: 64,
      data_bytes: 16_384,
      response_bytes: 4_194_304,
      request_ms: 300_000,
      request_silence_ms: 10_000,
      wait_ms: 5_000,
      wait_max_ms: 30_000,
      pending_per_workspace: 50_000,
      pending: 500_000,
      concurrent_batches: 256,
      waiting_requests: 1_000,
      streams: 10_000,
    });
  });

  describe('health', () => {
    it('is degraded without a worker, ok with one, and counts them', async () => {
      const lonely = await system.request('GET', '/health');
      expect(lonely.status).to.equal(200);
      expect(lonely.body).to.have.all.keys(
        'ok',
        'status',
        'message',
        'database',
        'queue',
        'workers',
        'environment',
        'version',
        'uptime_s',
      );
      expect(lonely.body).to.include({ ok: false, status: 'degraded', database: 'up', queue: 'up', workers: 0 });
      expect(lonely.body.environment).to.equal('test');
      expect(lonely.body.uptime_s).to.satisfy(Number.isInteger);

      const readHealth = async (workers: number) => {
        const { body } = await system.request('GET', '/health');
        return body.workers === workers && body;
      };
      const worker = await system.startWorker();
      expect(await eventually(() => readHealth(1))).to.include({ ok: true, status: 'ok', queue: 'up', database: 'up' });
      const second = await system.startWorker();
      expect(await eventually(() => readHealth(2))).to.include({ status: 'ok' });
      await second.run('the test wants it');
      await worker.run('the test wants it');
      expect(await eventually(() => readHealth(0))).to.include({ ok: false, status: 'degraded' });
    });

    it('answers live and ready', async () => {
      for (const path of ['/health/live', '/health/ready']) {
        const { status, body } = await system.request('GET', path);
        expect(status).to.equal(200);
        expect(body).to.deep.equal({ status: 'ok' });
      }
    });
  });

  describe('methods', () => {
    const wrong: [path: string, allowed: string, methods: string[]][] = [
      ...READ_ONLY.map((path): [string, string, string[]] => [path, 'GET', ['POST', 'PUT', 'PATCH', 'DELETE']]),
      ['/api/tasks', 'GET POST', ['PUT', 'PATCH', 'DELETE']],
      ['/api/tasks/some-id', 'GET PUT PATCH DELETE', ['POST']],
      ['/api/sync/batch', 'POST', ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE']],
      ['/api/sync/batches/some-id', 'GET', ['POST', 'PUT', 'PATCH', 'DELETE']],
      ['/api/sync/trigger', 'POST', ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE']],
    ];
    for (const [path, allowed, methods] of wrong) {
      it(`allows only ${allowed} at ${path}`, async () => {
        for (const method of methods) {
          const answer = await system.request(method, path, /GET|HEAD/.test(method) ? undefined : {});
          if (method === 'HEAD') expect(answer.status).to.equal(405);
          else expectProblem(answer, 405, 'method_not_allowed');
          expect((answer.headers.get('allow') ?? '').split(', ')).to.include.members(allowed.split(' '));
          expect((answer.headers.get('allow') ?? '').split(', '), method).to.not.include(method);
        }
        const options = await system.request('OPTIONS', path);
        expect(options.status).to.equal(204);
        expect(options.body).to.equal(undefined);
        expect((options.headers.get('allow') ?? '').split(', ')).to.include.members([...allowed.split(' '), 'OPTIONS']);
      });
    }

    it('answers HEAD like GET, without the body', async () => {
      const { body: task } = await system.request('POST', '/api/tasks', { title: 'a head' });
      for (const path of [...READ_ONLY, '/api/tasks', `/api/tasks/${task.id}`]) {
        const [get, head] = [await system.request('GET', path), await system.request('HEAD', path)];
        expect(head.status, path).to.equal(200);
        expect(head.body).to.equal(undefined);
        expect(head.headers.get('content-type')).to.equal(get.headers.get('content-type'));
      }
      expect((await system.request('HEAD', `/api/tasks/${newId('never')}`)).status).to.equal(404);
    });

    it('answers 404 to an address that it does not know, whatever the method', async () => {
      for (const path of [
        '/nothing',
        '/api',
        '/api/nothing',
        '/api/sync',
        '/api/sync/batches',
        '/health/nothing',
        '/API/x',
      ]) {
        for (const method of ['GET', 'POST', 'OPTIONS', 'DELETE']) {
          expectProblem(await system.request(method, path), 404, 'not_found');
        }
      }
      expectProblem(await system.request('GET', '/api/tasks/a/b'), 404, 'not_found');
    });
  });

  describe('request ids', () => {
    it('are made, or taken over when plain', async () => {
      const made = await system.request('GET', '/');
      expect(made.headers.get('x-request-id')).to.match(UUID_V7);
      const given = 'Trace_01.a-b';
      const echoed = await system.request('GET', '/', undefined, { 'x-request-id': given });
      expect(echoed.headers.get('x-request-id')).to.equal(given);
      const failed = await system.request('GET', '/nothing', undefined, { 'x-request-id': given });
      expect(failed.body.request_id).to.equal(given);
    });

    it('are replaced when they could harm a log', async () => {
      for (const given of ['x'.repeat(65), 'a b', '{"level":"error"}', 'a;b', 'ü']) {
        const { headers } = await system.request('GET', '/', undefined, { 'x-request-id': given });
        expect(headers.get('x-request-id')).to.match(UUID_V7);
      }
    });
  });

  describe('bodies', () => {
    const post = (body: string | Buffer, headers: Record<string, string>) =>
      fetch(`${system.url}/api/sync/batch`, { method: 'POST', body, headers }).then(async (response) => {
        const text = await response.text();
        return { status: response.status, headers: response.headers, body: JSON.parse(text) };
      });
    const json = { 'content-type': 'application/json', prefer: 'respond-async' };
    const batch = () => JSON.stringify({ items: [createItem(newId('task'))] });

    it('are read compressed, and with a charset or suffix of JSON', async () => {
      const { status } = await post(gzipSync(batch()), { ...json, 'content-encoding': 'gzip' });
      expect(status).to.equal(202);
      const withCharset = { ...json, 'content-type': 'application/json; charset=UTF-8' };
      expect((await post(batch(), withCharset)).status).to.equal(202);
    });

    it('get 415 in an encoding or charset that is not known', async () => {
      expectProblem(await post(batch(), { ...json, 'content-encoding': 'compress' }), 415, 'unsupported_encoding');
      const latin = { ...json, 'content-type': 'application/json; charset=latin1' };
      expectProblem(await post(batch(), latin), 415, 'unsupported_encoding');
    });

    it('get 400 when they are not what their headers say', async () => {
      const answer = await post('not compressed', { ...json, 'content-encoding': 'gzip' });
      expectProblem(answer, 400, 'invalid_request');
      expectProblem(await post(batch(), { 'content-type': 'text/plain' }), 400, 'invalid_request');
      expectProblem(
        await post(batch(), { 'content-type': 'application/x-www-form-urlencoded' }),
        400,
        'invalid_request',
      );
    });

    it('get 413 beyond BODY_LIMIT, named, also when it shows only after decompression', async () => {
      const large = JSON.stringify({ items: [createItem(newId('task'), { description: 'x'.repeat(5_000) })] });
      const packed = gzipSync(large);
      expect(packed.length).to.be.below(4_096);
      for (const answer of [await post(large, json), await post(packed, { ...json, 'content-encoding': 'gzip' })]) {
        expectProblem(answer, 413, 'too_large');
        expect(answer.body.detail).to.include('BODY_LIMIT').and.to.include('4096');
        // What is alone in its batch is not to be halved for ever.
        expect(answer.body.limits).to.deep.equal({ body_bytes: 4_096, max_item_bytes: 4_096 - 128 });
      }
      for (const [method, path] of [
        ['POST', '/api/tasks'],
        ['PUT', '/api/tasks/x'],
        ['PATCH', '/api/tasks/x'],
      ] as const) {
        expectProblem(await system.request(method, path, { title: 'x'.repeat(5_000) }), 413, 'too_large');
      }
    });

    it('at the limit are read', async () => {
      const task = { title: 'x', pad: '' };
      task.pad = 'p'.repeat(4_096 - JSON.stringify(task).length);
      expect((await system.request('POST', '/api/tasks', task)).status).to.equal(201);
      task.pad += 'p';
      expectProblem(await system.request('POST', '/api/tasks', task), 413, 'too_large');
    });
  });

  it('survives a request that is not HTTP', async () => {
    const { port } = new URL(system.url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk;
    });
    socket.write('GET / HTTP/9.9\r\nnonsense\r\n\r\n');
    await once(socket, 'close');
    expect(received).to.match(/^HTTP\/1\.1 400 /);
    expect((await system.request('GET', '/health/live')).status).to.equal(200);
  });

  it(`names the backend of its queue, ${testBackend}`, async () => {
    expect((await system.request('GET', '/api/sync/status')).body.queue.backend).to.equal(testBackend);
  });
});

describe('the service without its schema', () => {
  it('stays alive, is not ready, and says so; requests get 503 and can be repeated', async () => {
    const system = await withQueue(startSystem(import.meta.url, { workers: 0 }));
    try {
      await system.database.sequelize.query('ALTER TABLE schema_migrations RENAME TO gone');
      const health = await system.request('GET', '/health');
      expect(health.status).to.equal(200);
      expect(health.body).to.include({ ok: false, status: 'down', database: 'down' });
      expect((await system.request('GET', '/health/live')).status).to.equal(200);
      expect((await system.request('GET', '/health/ready')).status).to.equal(503);
      await system.database.sequelize.query('ALTER TABLE gone RENAME TO schema_migrations');
      expect((await system.request('GET', '/health/ready')).status).to.equal(200);
    } finally {
      await system.stop();
    }
  });
});
