// Bytes that are not UTF-8 are refused on every way in, before they are decoded (I2, I5): a decoder that writes U+FFFD for what it cannot
// read makes one task of two.
import { once } from 'node:events';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { createItem, newId } from '../support/operations.js';
import { eventually, type System, startSystem } from '../support/system.js';

const COMPRESSIONS = {
  identity: (bytes: Buffer) => bytes,
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
};
/** Each stands where `@` is. */
const WRONG = { latin1: '\xf6', overlong: '\xc0\xaf', cesu8: '\xed\xa0\xbd\xed\xb8\x80', cut: '\xe2\x82' };

describe('bytes that are not UTF-8', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  const send = async (method: string, path: string, body: Buffer, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${system.url}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  };
  const bytesOf = (json: string, wrong: string) => Buffer.from(json.replace('@', wrong), 'latin1');
  const countTasks = async () =>
    (await system.request('GET', '/api/tasks?limit=1000&include_deleted=true')).body.length;

  const BODIES: [method: string, path: string, json: string][] = [
    [
      'POST',
      '/api/sync/batch',
      '{"items":[{"client_id":"c","op_id":"o","operation":"create","data":{"id":"t@","title":"x"}}]}',
    ],
    [
      'POST',
      '/api/sync/batch',
      '{"items":[{"client_id":"c@","op_id":"o","operation":"create","data":{"id":"t","title":"x"}}]}',
    ],
    ['POST', '/api/sync/batch', '{"it@ems":[]}'],
    ['POST', '/api/tasks', '{"id":"t@","title":"x"}'],
    ['POST', '/api/tasks', '{"title":"x","unknown":"@"}'],
    ['PUT', '/api/tasks/known', '{"title":"x@"}'],
    ['PATCH', '/api/tasks/known', '{"title":"x@"}'],
    ['POST', '/api/sync/trigger', '{"a":"@"}'],
    ['POST', '/api/sync/operations/1/reapply', '{"a":"@"}'],
    ['POST', '/api/sync/queue/1/retry', '{"a":"@"}'],
    ['DELETE', '/api/tasks/known', '{"a":"@"}'],
  ];
  for (const [method, path, json] of BODIES) {
    it(`are 400 in the body of ${method} ${path} ${json}`, async () => {
      await system.request('POST', '/api/tasks', { id: 'known', title: 'As it was' });
      const before = await countTasks();
      for (const [encoding, compress] of Object.entries(COMPRESSIONS)) {
        for (const wrong of Object.values(WRONG)) {
          const { status, body } = await send(method, path, compress(bytesOf(json, wrong)), {
            'content-encoding': encoding,
          });
          expect(status, `${encoding} ${body.detail}`).to.equal(400);
          expect(body).to.include({ code: 'invalid_json' });
          expect(body.detail).to.match(/^The body is not UTF-8: at byte \d+/);
        }
      }
      expect(await countTasks()).to.equal(before);
      expect((await system.request('GET', '/api/tasks/known')).body.title).to.equal('As it was');
    });
  }

  const ADDRESSES = [
    '/api/tasks/%F6',
    '/api/tasks/%C0%AF',
    '/api/tasks/%ED%A0%BD%ED%B8%80',
    '/api/tasks/%E2%82',
    '/api/tasks/%',
  ];
  for (const address of [...ADDRESSES, '/api/tasks/%F6/history', '/api/sync/batches/%F6', '/api/sync/operations/%F6']) {
    it(`are 400 in the address ${address}`, async () => {
      const { status, body } = await system.request('GET', address);
      expect(status).to.equal(400);
      expect(body.code).to.equal('invalid_request');
    });
  }

  it('are 400 in a cursor of a list', async () => {
    const place = Buffer.from('["created_at","2027-01-01T00:00:00.000000Z","t\xf6"]', 'latin1').toString('base64url');
    expect((await system.request('GET', `/api/tasks?cursor=${place}`)).status).to.equal(400);
  });

  it('said to be another encoding are 415, UTF-16 too', async () => {
    const text = JSON.stringify({ title: 'Milk' });
    const charsets = { 'utf-16': 'utf16le', 'utf-16le': 'utf16le', 'iso-8859-1': 'latin1', 'utf-7': 'latin1' } as const;
    for (const [charset, encoding] of Object.entries(charsets)) {
      const type = { 'content-type': `application/json; charset=${charset}` };
      const { status, body } = await send('POST', '/api/tasks', Buffer.from(text, encoding), type);
      expect(status, charset).to.equal(415);
      expect(body.code).to.equal('unsupported_encoding');
      expect(body.detail.toLowerCase()).to.include(charset);
    }
  });

  it('are none where every character is one, with or without a byte order mark', async () => {
    const id = newId('schön-\u{1f600}-\ufffd');
    const text = JSON.stringify({ id, title: 'ﬁn é \ufffd 漢' });
    const utf8 = { 'content-type': 'application/json; charset=UTF-8' };
    const { status, body } = await send('POST', '/api/tasks', Buffer.from(`\ufeff${text}`), utf8);
    expect(status).to.equal(201);
    expect(body).to.include(JSON.parse(text));
  });

  it('are an error on a WebSocket, in a binary message; a text message ends the socket with 1007', async () => {
    const socket = new WebSocket(`${system.url.replace('http', 'ws')}/api/sync/ws`);
    // biome-ignore lint/suspicious/noExplicitAny: tests read messages freely
    const messages: any[] = [];
    socket.on('message', (data) => void messages.push(JSON.parse(data.toString())));
    await once(socket, 'open');
    const push = (id: string) => JSON.stringify({ type: 'push', ref: 'r', items: [createItem(id)] });
    for (const wrong of Object.values(WRONG)) socket.send(bytesOf(push('ws-@'), wrong), { binary: true });
    const good = newId('ws');
    socket.send(Buffer.from(`\ufeff${push(good)}`), { binary: true });
    const result = await eventually(() => messages.find(({ type }) => type === 'result'));
    expect(result.processed_items[0]).to.include({ task_id: good, status: 'success' });
    const errors = messages.filter(({ type }) => type === 'error').map(({ problem }) => problem);
    expect(errors.map(({ status, code }) => [status, code])).to.deep.equal(
      Object.keys(WRONG).map(() => [400, 'invalid_json']),
    );
    expect(errors[0].detail).to.match(/^The message is not UTF-8: at byte \d+/);
    socket.send(bytesOf(push('ws-@'), WRONG.latin1), { binary: false });
    const [code] = await once(socket, 'close');
    expect(code).to.equal(1007);
  });
});
