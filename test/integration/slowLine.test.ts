// A slow line is no fault: a batch that takes longer than the limit of silence is stored while its bytes flow. One that stops is told so (I8).
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createItem, newId } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';

const SILENCE_MS = 400;
const PIECE_BYTES = 2_048;

describe('a batch over a slow line', () => {
  let system: System;
  let socket: Socket;
  let answer: string;

  before(async () => {
    const env = { HTTP_SILENCE_TIMEOUT_MS: String(SILENCE_MS) };
    system = await startSystem(import.meta.url, { env });
  });
  after(() => system.stop());

  beforeEach(async () => {
    answer = '';
    socket = connect(Number(new URL(system.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    await once(socket, 'connect');
  });
  afterEach(() => void socket.destroy());

  const begin = (bytes: number) =>
    socket.write(
      `POST /api/sync/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\nX-Request-Id: slow\r\nContent-Length: ${bytes}\r\n\r\n`,
    );

  it('is stored however long it takes, while its bytes flow', async () => {
    const items = Array.from({ length: 4 }, () => createItem(newId('task'), { description: 'd'.repeat(15_000) }));
    const body = Buffer.from(JSON.stringify({ items }));
    const closed = once(socket, 'close');
    const startedAt = performance.now();
    begin(body.length);
    for (let at = 0; at < body.length; at += PIECE_BYTES) {
      socket.write(body.subarray(at, at + PIECE_BYTES));
      await sleep(SILENCE_MS / 8);
    }
    expect(performance.now() - startedAt).to.be.above(3 * SILENCE_MS);
    await closed;
    expect(answer)
      .to.match(/^HTTP\/1\.1 200 /)
      .and.include('"success":4');
  });

  it('that is too large is told so before it has come: waiting would end in a 408, which asks for the same again', async () => {
    begin(40_000_000);
    await once(socket, 'data');
    expect(answer)
      .to.match(/^HTTP\/1\.1 413 /)
      .and.include('"code":"too_large"');
  });

  it('that stops is answered 408, with a problem and when to send it again, and nothing of it is stored', async () => {
    const closed = once(socket, 'close');
    begin(10_000);
    socket.write('{"items":[');
    await closed;
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    expect(head)
      .to.match(/^HTTP\/1\.1 408 /)
      .and.match(/^retry-after: \d+$/m);
    expect(JSON.parse(body)).to.include({ status: 408, code: 'request_timeout', request_id: 'slow' });
    expect(await system.database.select('SELECT id FROM sync_batches WHERE total <> 4', [])).to.deep.equal([]);
  });
});
