// Upgrade headers (RFC 9110, 7.8): one that is no WebSocket is ignored, wherever it comes; and what a WebSocket address says to who asks
// without one. Java's HttpClient and curl --http2 ask for h2c with their first request, and proxies pass on what they were given.
import { expect } from 'chai';
import { expectBatch, expectProblem, expectTask } from '../support/contract.js';
import { curl, curlVersion } from '../support/curl.js';
import { exchange, rawRequest } from '../support/exchange.js';
import { createItem, newId } from '../support/operations.js';
import { type Answer, type System, startSystem } from '../support/system.js';

const H2C = {
  Connection: 'Upgrade, HTTP2-Settings',
  Upgrade: 'h2c',
  'HTTP2-Settings': 'AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA',
};

const OTHERS: [what: string, headers: Record<string, string>][] = [
  ['h2c', H2C],
  ['TLS/1.0', { Connection: 'Upgrade', Upgrade: 'TLS/1.0' }],
  ['several protocols', { Connection: 'upgrade', Upgrade: 'HTTP/2.0, SHTTP/1.3, IRC/6.9, RTA/x11' }],
  ['nothing, as of nginx for a client that did not ask', { Connection: 'upgrade', Upgrade: '' }],
  ['a Connection header alone', { Connection: 'upgrade' }],
  ['websocket without saying that it is for this connection', { Upgrade: 'websocket' }],
];

const ADDRESSES = [
  '/',
  '/health',
  '/health/ready',
  '/api/tasks',
  '/api/sync/changes',
  '/api/sync/status',
  '/admin/queues',
];

describe('an upgrade that is no WebSocket', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  const batch = () => JSON.stringify({ items: [createItem(newId('upgrade'))] });
  const JSON_TYPE = { 'Content-Type': 'application/json' };

  for (const [what, headers] of OTHERS) {
    it(`to ${what} is ignored by every address, on a connection that stays open`, async () => {
      const answers = await exchange(
        system.url,
        ADDRESSES.map((path, index) => (sofar: readonly Answer[]) => {
          return sofar.length === index ? rawRequest(`GET ${path}`, headers) : undefined;
        }),
        ADDRESSES.length,
      );
      expect(answers.map(({ status }) => status)).to.deep.equal(ADDRESSES.map(() => 200));
      for (const answer of answers) expect(answer.headers.get('connection')).to.equal('keep-alive');
      const [unknown] = await exchange(system.url, [rawRequest('GET /nothing', headers)]);
      expectProblem(unknown ?? expect.fail(), 404, 'not_found');
    });

    it(`to ${what} keeps its body: whole, in pieces, in chunks, and after 100 Continue`, async () => {
      const whole = rawRequest('POST /api/sync/batch', { ...headers, ...JSON_TYPE }, batch());
      const at = whole.length - 20;
      const inChunks = { ...headers, ...JSON_TYPE, 'Transfer-Encoding': 'chunked' };
      const body = batch();
      const chunks = [rawRequest('POST /api/sync/batch', inChunks), `5\r\n${body.slice(0, 5)}\r\n`];
      const rest = `${(body.length - 5).toString(16)}\r\n${body.slice(5)}\r\n0\r\n\r\n`;
      const when = (count: number, text: string) => (sofar: readonly Answer[]) =>
        sofar.length === count ? text : undefined;
      const answers = await exchange(
        system.url,
        [whole, when(1, whole.slice(0, at)), whole.slice(at), when(2, chunks.join('')), rest],
        3,
      );
      for (const answer of answers) expectBatch(answer, 200);
      const expecting = { ...headers, ...JSON_TYPE, Expect: '100-continue', 'Content-Length': String(body.length) };
      const [continued] = await exchange(system.url, [rawRequest('POST /api/sync/batch', expecting), body]);
      expectBatch(continued ?? expect.fail(), 200);
    });
  }

  it('is what curl --http2 asks for', async function () {
    if (curlVersion() === undefined) return this.skip();
    const created = await curl(['--http2', `${system.url}/api/tasks`], { title: 'Over curl' });
    expect(created.status).to.equal(201);
    expectTask(created.body);
    const read = await curl(['--http2', `${system.url}/api/tasks/${created.body.id}`]);
    expect(read.status).to.equal(200);
  });
});

describe('the address of the WebSocket', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
  });
  after(() => system.stop());

  const send = async (line: string, headers: Record<string, string> = {}) => {
    const [answer] = await exchange(system.url, [rawRequest(line, headers)]);
    return answer ?? expect.fail();
  };
  const HANDSHAKE = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };

  for (const [what, headers] of [['nothing', {}], ...OTHERS] as const) {
    it(`answers 426 with a sentence about proxies to a request for ${what}`, async () => {
      const answer = await send('GET /api/sync/ws?cursor=x', headers);
      expectProblem(answer, 426, 'upgrade_required');
      expect(answer.headers.get('upgrade')).to.equal('websocket');
      expect(answer.headers.get('connection')).to.match(/^upgrade$/i);
      expect(answer.body.detail).to.include('proxy').and.to.include('HTTP/1.1');
    });
  }

  it('knows no other method', async () => {
    const answer = await send('POST /api/sync/ws', HANDSHAKE);
    expectProblem(answer, 405, 'method_not_allowed');
    expect(answer.headers.get('allow')).to.equal('GET, OPTIONS');
  });

  it('is the only one: a WebSocket elsewhere is a 404 that says where it is', async () => {
    for (const path of ['/api/sync/socket', '/ws', '/', '/api/tasks', '/api/sync/stream', '/api/sync/ws/x']) {
      const answer = await send(`GET ${path}`, HANDSHAKE);
      expectProblem(answer, 404, 'not_found');
      expect(answer.body.detail).to.include('/api/sync/ws');
    }
  });

  it('answers a handshake that is none with a problem', async () => {
    for (const broken of [{ 'Sec-WebSocket-Version': '99' }, { 'Sec-WebSocket-Key': 'x' }]) {
      const answer = await send('GET /api/sync/ws', { ...HANDSHAKE, ...broken });
      expectProblem(answer, 400, 'invalid_request');
      expect(answer.headers.get('sec-websocket-version')).to.equal('13');
    }
  });
});
