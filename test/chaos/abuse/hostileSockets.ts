// WebSockets that misbehave: messages that are no push, pushes that are no batch, and frames that are no frames.
import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { itemSchemas } from '../../../src/sync/operation.js';
import { hostileBody, hostileValue, writeJson } from './hostileJson.js';
import { arbitraryOf, type Pools } from './schemaArbitrary.js';

/** Messages as texts. */
export function hostileMessages(pools: Pools): fc.Arbitrary<string> {
  const item = fc.constantFrom(...Object.values(itemSchemas)).chain((schema) => arbitraryOf(schema.describe(), pools));
  const push = fc.record(
    {
      type: fc.oneof({ weight: 8, arbitrary: fc.constant('push') }, { weight: 1, arbitrary: hostileValue }),
      ref: fc.oneof(fc.integer(), fc.string(), hostileValue),
      items: fc.oneof(
        { weight: 8, arbitrary: fc.array(item, { maxLength: 4 }) },
        { weight: 1, arbitrary: hostileValue },
      ),
      client_timestamp: hostileValue,
    },
    { requiredKeys: ['type', 'items'] },
  );
  return fc.oneof({ weight: 4, arbitrary: push.map(writeJson) }, { weight: 1, arbitrary: hostileBody });
}

export interface SocketTalk {
  /** Everything that was received. */
  received: string[];
  /** Each message was answered, or the socket was closed. */
  isAnswered: boolean;
}

const ANSWER_LIMIT_MS = 15_000;

/** Sends messages one after the other over one socket, waiting for the answer to each. */
export async function talk(url: string, messages: readonly string[]): Promise<SocketTalk> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/api/sync/ws`);
  const received: string[] = [];
  const closed = once(socket, 'close');
  socket.on('error', () => socket.terminate());
  let answers = 0;
  let onAnswer = () => {};
  socket.on('message', (data) => {
    const text = String(data);
    received.push(text);
    if (/"type":"(result|error)"/.test(text)) {
      answers += 1;
      onAnswer();
    }
  });
  await Promise.race([once(socket, 'open'), closed]);
  let isAnswered = true;
  for (const [index, message] of messages.entries()) {
    if (socket.readyState !== socket.OPEN) break;
    let timer: NodeJS.Timeout | undefined;
    const answered = new Promise<boolean>((resolve) => {
      onAnswer = () => answers > index && resolve(true);
      timer = setTimeout(resolve, ANSWER_LIMIT_MS, false);
    });
    socket.send(message);
    isAnswered = (await Promise.race([answered, closed.then(() => true)])) && isAnswered;
    clearTimeout(timer);
  }
  socket.terminate();
  await closed;
  return { received, isAnswered };
}

const frame = (...bytes: number[]) => Buffer.from(bytes);

/** After the handshake, byte for byte (RFC 6455, 5.2). */
export const RAW_FRAMES: readonly Buffer[] = [
  // Not masked.
  Buffer.concat([frame(0x81, 0x02), Buffer.from('{}')]),
  // Reserved bits, reserved operation codes.
  frame(0xf1, 0x80, 0, 0, 0, 0),
  frame(0x83, 0x80, 0, 0, 0, 0),
  frame(0x8f, 0x80, 0, 0, 0, 0),
  // Longer than anything: 2^63 - 1 bytes are announced.
  frame(0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
  frame(0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
  // Text that is not UTF-8.
  frame(0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe),
  // A fragment that continues nothing; one that is never continued; a ping of more than 125 bytes.
  frame(0x80, 0x80, 0, 0, 0, 0),
  frame(0x01, 0x81, 0, 0, 0, 0, 0x7b),
  frame(0x89, 0xfe, 0x00, 0x7e, 0, 0, 0, 0),
  // A close with one byte, with a code that nobody may send.
  frame(0x88, 0x81, 0, 0, 0, 0, 0x03),
  frame(0x88, 0x82, 0, 0, 0, 0, 0x03, 0xec),
  Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
];

/** Shakes hands, sends bytes, and returns what came back until either side closed. */
export async function sendFrames(url: string, bytes: Buffer, patienceMs: number): Promise<string> {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
  });
  socket.on('error', () => socket.destroy());
  const closed = once(socket, 'close');
  socket.write(
    `GET /api/sync/ws HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  socket.write(bytes);
  const timer = setTimeout(() => socket.destroy(), patienceMs);
  await closed;
  clearTimeout(timer);
  return received;
}
