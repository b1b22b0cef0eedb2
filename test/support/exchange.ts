// HTTP as bytes: headers that no client library would send, and what comes back on the same connection, answer by answer.
import { connect } from 'node:net';
import type { Answer } from './system.js';

const LIMIT_MS = 20_000;

/**
 * Sends the parts over one connection and resolves with the first answers.
 * @param parts a function among them is called with the answers so far and sends what it returns, once it returns something
 * @param count how many answers to wait for, interim ones (1xx) not counted
 */
export function exchange(
  url: string,
  parts: (string | ((answers: readonly Answer[]) => string | undefined))[],
  count = 1,
): Promise<Answer[]> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let received = '';
    const fail = (why: string) => reject(new Error(`${why}; received so far: ${JSON.stringify(received)}`));
    const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), LIMIT_MS);
    const waiting = [...parts];
    const step = () => {
      const answers = readAnswers(received);
      for (let [next] = waiting; next !== undefined; [next] = waiting) {
        const text = typeof next === 'string' ? next : next(answers);
        if (text === undefined) break;
        waiting.shift();
        socket.write(text);
      }
      if (answers.length < count) return;
      resolve(answers.slice(0, count));
      socket.destroy();
    };
    socket.setEncoding('utf8').on('data', (chunk) => {
      received += chunk;
      step();
    });
    socket.once('connect', step);
    socket.once('error', (error) => fail(String(error)));
    socket.once('close', () => {
      clearTimeout(timer);
      fail('the connection was closed');
    });
  });
}

/** A request with `Host: localhost` unless another is given, and the length of its body. */
export function rawRequest(line: string, headers: Record<string, string> = {}, body = ''): string {
  const all = { Host: 'localhost', ...(body === '' ? {} : { 'Content-Length': Buffer.byteLength(body) }), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

/** The complete answers in a text; one without a length and chunks, like an endless stream, is none. */
function readAnswers(text: string): Answer[] {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return [];
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const fields = lines.map((line): [string, string] => [line.split(':')[0] ?? '', line.replace(/^[^:]*: ?/, '')]);
  const headers = new Headers(fields);
  const status = Number(first.split(' ')[1]);
  const content = readContent(headers, Buffer.from(text.slice(end + 4)));
  if (content === undefined) return [];
  if (status < 200) return readAnswers(content.rest.toString());
  const isJson = /json/.test(headers.get('content-type') ?? '') && content.text !== '';
  const answer = { status, headers, body: isJson ? JSON.parse(content.text) : content.text };
  return [answer, ...readAnswers(content.rest.toString())];
}

function readContent(headers: Headers, bytes: Buffer): { text: string; rest: Buffer } | undefined {
  if (headers.get('transfer-encoding') !== 'chunked') {
    const length = Number(headers.get('content-length') ?? 0);
    if (bytes.length < length) return undefined;
    return { text: bytes.subarray(0, length).toString(), rest: bytes.subarray(length) };
  }
  const [, hex = '', after = ''] = /^([0-9a-f]+)\r\n(.*)$/is.exec(bytes.toString('latin1')) ?? [];
  const length = Number.parseInt(hex, 16);
  if (Number.isNaN(length) || after.length < length + 2) return undefined;
  const [chunk, rest] = [Buffer.from(after.slice(0, length), 'latin1'), Buffer.from(after.slice(length + 2), 'latin1')];
  if (length === 0) return { text: '', rest };
  const next = readContent(headers, rest);
  return next && { text: chunk.toString() + next.text, rest: next.rest };
}
