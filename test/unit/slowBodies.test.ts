// Bodies that come slowly are read for as long as they come; those that stop, or come a byte now and then, are answered 408 (I8).
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { closeBrokenRequests } from '../../src/api/brokenRequests.js';
import { closeSlowBodies } from '../../src/api/slowBodies.js';

const SILENCE_MS = 200;
const PIECE_EVERY_MS = 20;

describe('slow bodies', () => {
  let server: Server;
  let port: number;
  let stop: () => void;

  beforeEach(async () => {
    server = createServer((request, response) => {
      request.resume().once('end', () => response.end('all of it came'));
    });
    closeBrokenRequests(server, { newId: () => 'made', random: () => 0 });
    stop = closeSlowBodies(server, SILENCE_MS);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  });
  afterEach(() => {
    stop();
    server.closeAllConnections();
    server.close();
  });

  /** Posts a body of so many pieces, each after a pause. @returns what was answered, and how long that took */
  async function send(pieceBytes: number, pieces: number) {
    const socket = connect(port, '127.0.0.1').setEncoding('latin1');
    let answer = '';
    socket.on('error', () => undefined);
    socket.on('data', (text: string) => {
      answer += text;
      socket.end();
    });
    const closed = once(socket, 'close');
    const startedAt = performance.now();
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${pieceBytes * pieces}\r\n\r\n`);
    for (let sent = 0; sent < pieces && answer === ''; sent += 1) {
      socket.write('x'.repeat(pieceBytes));
      await sleep(PIECE_EVERY_MS);
    }
    await closed;
    return { answer, elapsedMs: performance.now() - startedAt };
  }

  it('are read to their end while their bytes flow, however long that takes', async () => {
    const { answer, elapsedMs } = await send(1_024, 40);
    expect(answer)
      .to.match(/^HTTP\/1\.1 200 /)
      .and.include('all of it came');
    expect(elapsedMs).to.be.above(3 * SILENCE_MS);
  });

  it('that come a byte at a time are answered 408', async () => {
    const { answer } = await send(1, 100_000);
    expect(answer)
      .to.match(/^HTTP\/1\.1 408 /)
      .and.include('request_timeout');
  });

  it('that stop are answered 408', async () => {
    const socket = connect(port, '127.0.0.1').setEncoding('latin1');
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(50_000)}`);
    const [answer] = await once(socket, 'data');
    expect(answer).to.match(/^HTTP\/1\.1 408 /);
  });
});
