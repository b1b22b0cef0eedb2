// Requests that cannot be read or do not end: answered, closed, and not all in the same turn of the event loop (I8).
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect } from 'node:net';
import { expect } from 'chai';
import { closeBrokenRequests } from '../../src/api/brokenRequests.js';

const LATE_MS = 50;
const CLIENTS = 40;

describe('requests that are broken', () => {
  let server: Server;
  let port: number;

  async function serve(answer: RequestListener) {
    const timeouts = { headersTimeout: LATE_MS, requestTimeout: LATE_MS, connectionsCheckingInterval: 10 };
    server = createServer(timeouts, answer);
    closeBrokenRequests(server, { newId: () => 'made', random: () => 0 });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  }
  afterEach(() => server.close());

  /** Sends texts, each when something was answered to the one before, and returns all that came until the server closed. */
  async function exchange(...texts: string[]): Promise<string> {
    const socket = connect(port, '127.0.0.1').setEncoding('latin1');
    let received = '';
    socket.on('error', () => undefined);
    socket.on('data', (text: string) => {
      received += text;
      const next = texts.shift();
      if (next !== undefined) socket.write(next);
    });
    socket.write(texts.shift() ?? '');
    await once(socket, 'close');
    return received;
  }

  it('are answered 400, with too much in their headers 431, late ones 408', async () => {
    await serve((_request, response) => response.end('fine'));
    expect(await exchange('GARBAGE\r\n\r\n')).to.match(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(await exchange(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)).to.match(
      /^HTTP\/1\.1 431 /,
    );
    expect(await exchange('GET / HTTP/1.1\r\nHost: ')).to.match(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(await exchange('GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'GARBAGE\r\n\r\n')).to.match(
      /fine(?:\r\n0\r\n\r\n)?HTTP\/1\.1 400 /,
    );
  });

  it('are told so as any other failure is, with the headers that their answer had already', async () => {
    await serve((request, response) => {
      response.setHeader('X-Request-Id', 'mine').setHeader('Access-Control-Allow-Origin', 'https://app.example');
      request.resume();
    });
    const answers = [
      [await exchange('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf'), 408, 'request_timeout', 'mine'],
      [await exchange('GET / HTTP/1.1\r\nHost: '), 408, 'request_timeout', 'made'],
      [await exchange('GARBAGE\r\n\r\n'), 400, 'invalid_request', 'made'],
      [await exchange(`GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`), 431, 'headers_too_large', 'made'],
    ] as const;
    for (const [answer, status, code, requestId] of answers) {
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      expect(head)
        .to.match(/^content-type: application\/problem\+json/m)
        .and.match(/^connection: close$/m);
      expect(head).to.match(new RegExp(`^content-length: ${Buffer.byteLength(body)}$`, 'm'));
      expect(head.includes('access-control-allow-origin: https://app.example')).to.equal(requestId === 'mine');
      expect(JSON.parse(body)).to.include({ status, code, request_id: requestId });
      if (status === 408) expect(JSON.parse(body).retry_after_s, 'it may be sent again').to.equal(1);
    }
  });

  it('get nothing in the middle of another answer', async () => {
    await serve((_request, response) => void response.write('half of it'));
    const received = await exchange('GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'GARBAGE\r\n\r\n');
    expect(received).to.include('half of it').and.not.include('400');
  });

  it('are closed a few at a time when many are late together', async () => {
    await serve((_request, response) => response.end());
    let inThisTurn = 0;
    let mostInATurn = 0;
    server.on('connection', (socket) =>
      socket.on('close', () => {
        inThisTurn += 1;
        mostInATurn = Math.max(mostInATurn, inThisTurn);
        setImmediate(() => {
          inThisTurn = 0;
        });
      }),
    );
    const answers = await Promise.all(
      Array.from({ length: CLIENTS }, () => exchange('POST / HTTP/1.1\r\nHost: a\r\nContent-')),
    );
    expect(answers.every((answer) => answer.startsWith('HTTP/1.1 408 '))).to.equal(true);
    expect(mostInATurn).to.be.within(1, 10);
  });
});
