// What pages of others can make a browser do to this server: nothing (DESIGN 4: a foreign Host or Origin is refused). The headers are those
// that browsers send, over bare connections, because no client library lets a test choose them.
import { once } from 'node:events';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { expectProblem } from '../support/contract.js';
import { exchange, rawRequest } from '../support/exchange.js';
import { createItem, newId } from '../support/operations.js';
import { freePort } from '../support/ports.js';
import { type Answer, type System, startSystem } from '../support/system.js';

const APP = 'https://app.example.com';

/** One of each kind of address that changes something, with a body or without. */
const WRITES = [
  'POST /api/sync/batch',
  'POST /api/sync/trigger',
  'POST /api/sync/operations/2/reapply',
  'POST /api/sync/queue/2/retry',
  'DELETE /api/sync/queue/2',
  'POST /api/tasks',
  'PUT /api/tasks/x',
  'PATCH /api/tasks/x',
  'DELETE /api/tasks/x',
  'PUT /admin/queues/api/queues/sync/pause',
  'POST /admin/queues/api/queues/sync/add',
  'POST /nowhere',
];

const READS = ['/', '/health', '/health/live', '/api/tasks', '/api/sync/status', '/metrics', '/admin/queues'];

describe('a page of another origin', () => {
  let system: System;
  let host = '';
  before(async () => {
    system = await startSystem(import.meta.url);
    host = new URL(system.url).host;
  });
  after(() => system.stop());

  const send = async (line: string, headers: Record<string, string>, body = ''): Promise<Answer> => {
    const [answer] = await exchange(system.url, [rawRequest(line, { Host: host, ...headers }, body)]);
    return answer ?? expect.fail();
  };
  const countTasks = async () => (await system.request('GET', '/api/sync/status')).body.synced;

  const FOREIGN: [what: string, headers: Record<string, string>][] = [
    ['another site', { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site' }],
    ['another site in an old browser', { Origin: 'https://evil.example' }],
    ['a sandboxed frame', { Origin: 'null', 'Sec-Fetch-Site': 'cross-site' }],
    ['a sandboxed frame in an old browser', { Origin: 'null' }],
    ['another port of this machine', { Origin: 'http://localhost:3000', 'Sec-Fetch-Site': 'same-site' }],
    ['a site without saying which', { 'Sec-Fetch-Site': 'cross-site' }],
    ['another subdomain without saying which', { 'Sec-Fetch-Site': 'same-site' }],
    ['an origin that only begins like ours', { Origin: 'http://localhost.evil.example' }],
    ['an app of this name', { Origin: 'capacitor://localhost' }],
  ];
  for (const [what, headers] of FOREIGN) {
    it(`changes nothing from ${what}, with a form or a script`, async () => {
      const tasks = await countTasks();
      const form = { ...headers, 'Content-Type': 'text/plain' };
      for (const line of WRITES) expectProblem(await send(line, form, '{"items":[]}'), 403, 'origin_not_allowed');
      const batch = JSON.stringify({ items: [createItem(newId('stranger'))] });
      const json = { ...headers, 'Content-Type': 'application/json' };
      expectProblem(await send('POST /api/sync/batch', json, batch), 403, 'origin_not_allowed');
      expect(await countTasks()).to.equal(tasks);
    });
  }

  it('is told why, and what to set', async () => {
    const { body } = await send('POST /api/sync/trigger', { Origin: 'https://evil.example' });
    expect(body.detail).to.include('"https://evil.example"').and.to.include('CORS_ORIGIN');
  });

  const OWN: [what: string, headers: () => Record<string, string>][] = [
    ['no browser', () => ({})],
    ['a page of this server', () => ({ Origin: `http://${host}`, 'Sec-Fetch-Site': 'same-origin' })],
    ['a page of this server in an old browser', () => ({ Origin: `http://${host}` })],
    ['the address bar', () => ({ 'Sec-Fetch-Site': 'none' })],
    ['behind a proxy that ends TLS', () => ({ Origin: `https://${host}` })],
    ['behind a proxy that changes Host', () => ({ Origin: APP, 'Sec-Fetch-Site': 'same-origin' })],
    ['behind one that says so', () => ({ Origin: APP, 'X-Forwarded-Host': 'app.example.com' })],
    ['behind one that writes the port', () => ({ Origin: APP, 'X-Forwarded-Host': 'app.example.com:443' })],
  ];
  for (const [what, headers] of OWN) {
    it(`is not what asks here: ${what}`, async () => {
      const answer = await send('POST /api/sync/trigger', headers());
      expect(answer.status, JSON.stringify(answer.body)).to.equal(200);
    });
  }

  it('cannot read without CORS, which is left to the browser, and preflights get no permission', async () => {
    const foreign = { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site' };
    const read = await send('GET /api/tasks', foreign);
    expect(read.status).to.equal(200);
    const preflight = await send('OPTIONS /api/tasks', { ...foreign, 'Access-Control-Request-Method': 'POST' });
    for (const { headers } of [read, preflight]) expect(headers.get('access-control-allow-origin')).to.equal(null);
  });

  it('opens no WebSocket', async () => {
    for (const origin of ['https://evil.example', 'null', 'http://localhost:1']) {
      const socket = new WebSocket(`${system.url.replace('http', 'ws')}/api/sync/ws`, { headers: { origin } });
      const [error] = await once(socket, 'error');
      expect(String(error)).to.match(/403/);
    }
  });

  describe('that an attacker has rebound to this machine', () => {
    const STRANGE = [
      'evil.example',
      'evil.example:5000',
      'localhost.evil.example',
      '192.0.2.7',
      '0.0.0.0',
      '[fe80::1]',
    ];
    for (const strange of STRANGE) {
      it(`reads nothing as ${strange}: API, health, Board, metrics, stream and WebSocket`, async () => {
        for (const path of [...READS, '/api/sync/stream', '/nowhere']) {
          expectProblem(await send(`GET ${path}`, { Host: strange }), 403, 'host_not_allowed');
        }
        const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' };
        const key = { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };
        const own = { Host: strange, Origin: `http://${strange}`, 'Sec-Fetch-Site': 'same-origin' };
        expectProblem(await send('GET /api/sync/ws', { ...upgrade, ...key, ...own }), 403, 'host_not_allowed');
        expectProblem(await send('POST /api/sync/trigger', own), 403, 'host_not_allowed');
      });
    }

    for (const own of [
      'localhost',
      'LOCALHOST:80',
      'localhost.',
      '127.0.0.1:5000',
      '127.8.9.10',
      '[::1]:5000',
      'app.localhost:1',
    ]) {
      it(`is not ${own}`, async () => {
        for (const path of READS) expect((await send(`GET ${path}`, { Host: own })).status, path).to.equal(200);
      });
    }

    it('cannot hide behind a second Host, and HTTP/1.1 without one is answered like any broken request', async () => {
      const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
      for (const hosts of [`Host: ${host}\r\nhost: evil.example\r\n`, `Host: ${host}\r\nHost: ${host}\r\n`, '']) {
        for (const request of [
          `GET / HTTP/1.1\r\n${hosts}\r\n`,
          `GET /api/sync/ws HTTP/1.1\r\n${hosts}${upgrade}\r\n`,
        ]) {
          const [answer] = await exchange(system.url, [request]);
          expectProblem(answer ?? expect.fail(), 400, 'invalid_request');
          expect(answer?.body.errors[0].field).to.equal('host');
        }
      }
    });

    it('is not a client that names no host, and a Host that is none is invalid', async () => {
      const [old] = await exchange(system.url, ['GET /health/live HTTP/1.0\r\n\r\n']);
      expect(old?.status).to.equal(200);
      for (const broken of ['a b', 'localhost/x', 'me@localhost', 'localhost:x', '[::1']) {
        expectProblem(await send('GET /', { Host: broken }), 400, 'invalid_request');
      }
    });
  });
});

describe('pages of the origins in CORS_ORIGIN', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { env: { CORS_ORIGIN: `${APP}, capacitor://localhost` } });
  });
  after(() => system.stop());

  const send = async (line: string, headers: Record<string, string>): Promise<Answer> => {
    const [answer] = await exchange(system.url, [rawRequest(line, headers)]);
    return answer ?? expect.fail();
  };

  for (const origin of [APP, 'capacitor://localhost']) {
    it(`${origin}: may write, read every header that the API sets, and open the WebSocket`, async () => {
      const written = await send('POST /api/sync/trigger', { Origin: origin, 'Sec-Fetch-Site': 'cross-site' });
      expect(written.status).to.equal(200);
      expect(written.headers.get('access-control-allow-origin')).to.equal(origin);
      expect(written.headers.get('vary')).to.match(/\bOrigin\b/);
      const exposed = written.headers.get('access-control-expose-headers')?.split(',') ?? [];
      expect(exposed).to.include.members([
        'Allow',
        'ETag',
        'Link',
        'Location',
        'Retry-After',
        'Sync-Cursor',
        'X-Request-Id',
      ]);
      const socket = new WebSocket(`${system.url.replace('http', 'ws')}/api/sync/ws`, { headers: { origin } });
      await once(socket, 'open');
      socket.close();
      await once(socket, 'close');
    });
  }

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    it(`a preflight allows ${method} with the headers of the protocol, also into a private network`, async () => {
      const asked = 'content-type,prefer,if-match,if-none-match,last-event-id,x-request-id';
      const { status, headers } = await send('OPTIONS /api/tasks/x', {
        Origin: APP,
        'Access-Control-Request-Method': method,
        'Access-Control-Request-Headers': asked,
        'Access-Control-Request-Private-Network': 'true',
      });
      expect(status).to.equal(204);
      expect(headers.get('access-control-allow-methods')?.split(',')).to.include(method);
      expect(headers.get('access-control-allow-headers')).to.equal(asked);
      expect(headers.get('access-control-allow-private-network')).to.equal('true');
    });
  }

  it('are no others: neither a write nor a preflight, and the answer varies with the origin all the same', async () => {
    const headers = { Origin: 'https://evil.example', 'Access-Control-Request-Private-Network': 'true' };
    expectProblem(await send('POST /api/sync/trigger', headers), 403, 'origin_not_allowed');
    const preflight = await send('OPTIONS /api/tasks', headers);
    for (const name of ['allow-origin', 'allow-private-network']) {
      expect(preflight.headers.get(`access-control-${name}`)).to.equal(null);
    }
    expect((await send('GET /api/tasks', headers)).headers.get('vary')).to.match(/\bOrigin\b/);
  });
});

describe('ALLOWED_HOSTS', () => {
  for (const [hosts, served, refused] of [
    [
      'sync.example.com, .example.org',
      ['sync.example.com', 'Sync.Example.COM:8443', 'example.org', 'a.b.example.org', 'localhost'],
      ['example.com', 'x.sync.example.com', 'badexample.org'],
    ],
    ['*', ['evil.example'], []],
  ] as const) {
    it(`${hosts} serves those names beside this machine's own`, async () => {
      const system = await startSystem(import.meta.url, { workers: 0, env: { ALLOWED_HOSTS: hosts } });
      try {
        const statusOf = async (host: string) =>
          (await exchange(system.url, [rawRequest('GET /health/live', { Host: host })]))[0]?.status;
        for (const host of served) expect(await statusOf(host), host).to.equal(200);
        for (const host of refused) expect(await statusOf(host), host).to.equal(403);
      } finally {
        await system.stop();
      }
    });
  }

  it('holds for the metrics of a worker as well', async () => {
    const port = await freePort();
    const system = await startSystem(import.meta.url, { env: { WORKER_HEALTH_PORT: String(port) } });
    try {
      const url = `http://127.0.0.1:${port}`;
      for (const path of ['/metrics', '/health/live', '/health/ready']) {
        const [answer] = await exchange(url, [rawRequest(`GET ${path}`, { Host: 'evil.example' })]);
        expectProblem(answer ?? expect.fail(), 403, 'host_not_allowed');
      }
    } finally {
      await system.stop();
    }
  });
});
