// The WebSocket: the stream's events and pushed batches over one connection.
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { eventually, type System, startSystem } from '../support/system.js';

// biome-ignore lint/suspicious/noExplicitAny: tests read messages freely
type Message = any;

const create = (id: string) => ({
  client_id: 'phone',
  op_id: id,
  operation: 'create',
  data: { id, title: `Title of ${id}` },
});

describe('the WebSocket', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  async function open(query = '', headers: Record<string, string> = {}) {
    const socket = new WebSocket(`${system.url.replace('http', 'ws')}/api/sync/ws${query}`, { headers });
    const messages: Message[] = [];
    socket.on('message', (data) => void messages.push(JSON.parse(data.toString())));
    await once(socket, 'open');
    const find = (type: string, ref?: string) => messages.find((each) => each.type === type && each.ref === ref);
    return {
      socket,
      messages,
      waitFor: (type: string, ref?: string) => eventually(() => find(type, ref)),
      async close() {
        socket.close();
        await once(socket, 'close');
      },
    };
  }

  it('answers a pushed batch as HTTP would, and tells the others', async () => {
    const [writer, reader] = await Promise.all([open(), open()]);
    const ready = await reader.waitFor('ready');
    await writer.waitFor('ready');
    writer.socket.send(JSON.stringify({ type: 'push', ref: 'r1', items: [create('ws-1'), { client_id: 'phone' }] }));
    const result = await writer.waitFor('result', 'r1');
    const http = await system.request('GET', `/api/sync/batches/${result.batch_id}`);
    const { type, ref, server_time, ...body } = result;
    const { server_time: later, ...same } = http.body;
    expect(body).to.deep.equal(same);
    const change = await reader.waitFor('change');
    expect(change.task).to.include({ id: 'ws-1' });
    expect(change.prev_cursor).to.equal(ready.cursor);
    await Promise.all([writer.close(), reader.close()]);
  });

  it('resumes from a cursor', async () => {
    const { cursor } = (await system.request('GET', '/api/sync/changes?limit=5000')).body;
    await system.push([create('ws-2')]);
    const reader = await open(`?cursor=${cursor}`);
    expect((await reader.waitFor('change')).task.id).to.equal('ws-2');
    await reader.close();
  });

  it('answers what it cannot use with a problem, and goes on', async () => {
    const client = await open();
    await client.waitFor('ready');
    const bad: [message: string, ref: string | undefined, code: string][] = [
      ['not json', undefined, 'invalid_json'],
      ['7', undefined, 'invalid_json'],
      [JSON.stringify({ type: 'shout', ref: 'b1' }), 'b1', 'invalid_request'],
      [JSON.stringify({ type: 'push', ref: 'b2', items: [] }), 'b2', 'invalid_request'],
      [JSON.stringify({ type: 'push', ref: 'b3', items: Array(1_001).fill(0) }), 'b3', 'too_large'],
    ];
    for (const [message] of bad) client.socket.send(message);
    await eventually(() => client.messages.filter((each) => each.type === 'error').length === bad.length);
    const errors = client.messages.filter((each) => each.type === 'error').map((each) => [each.ref, each.problem.code]);
    expect(errors).to.have.deep.members(bad.map(([, ref, code]) => [ref, code]));
    client.socket.send(JSON.stringify({ type: 'push', ref: 'good', items: [create('ws-3')] }));
    expect((await client.waitFor('result', 'good')).summary.success).to.equal(1);
    await client.close();
  });

  it('cuts a message over the limit', async () => {
    const client = await open();
    client.socket.on('error', () => undefined);
    client.socket.send('x'.repeat(system.config.bodyLimitBytes + 1));
    const [code] = await once(client.socket, 'close');
    expect(code).to.equal(1009);
  });

  it('says when a cursor cannot be continued, and closes', async () => {
    const client = await open(`?cursor=${Buffer.from(`1.0.${'A'.repeat(16)}`).toString('base64url')}`);
    const [code] = await once(client.socket, 'close');
    expect(code).to.equal(1008);
    expect(client.messages.at(-1)).to.have.property('type', 'error');
    expect(client.messages.at(-1).problem).to.include({ code: 'cursor_expired', status: 410 });
  });

  it('lets in pages of its own origin only', async () => {
    const own = await open('', { origin: system.url });
    await own.close();
    const stranger = new WebSocket(`${system.url.replace('http', 'ws')}/api/sync/ws`, {
      headers: { origin: 'https://evil.example' },
    });
    const [error] = await once(stranger, 'error');
    expect(String(error)).to.match(/403/);
  });

  it('survives upgrades that make no sense, and peers that are gone before they are refused', async () => {
    const { hostname, port } = new URL(system.url);
    const upgrade = (target: string) =>
      `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    const refused = connect(Number(port), hostname);
    refused.write(upgrade('//'));
    const [answer] = await once(refused, 'data');
    expect(String(answer)).to.match(/^HTTP\/1\.1 400/);
    const gone = Array.from({ length: 50 }, async () => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(upgrade('/nope'));
      setImmediate(() => socket.resetAndDestroy());
      await once(socket, 'close');
    });
    await Promise.all(gone);
    expect((await system.request('GET', '/health')).status).to.equal(200);
  });

  const REFS = [
    null,
    true,
    false,
    0,
    -1.5,
    1e300,
    '',
    'r',
    '\u0000\ud800',
    [],
    {},
    [null, [0]],
    { a: { b: [''] }, toJSON: 1 },
  ];
  for (const ref of [...REFS, { ['__proto__']: { ref: 1 } }, 'x'.repeat(1_022), 'ü'.repeat(511)]) {
    it(`echoes the ref ${JSON.stringify(ref).slice(0, 50)} as it is, in results and in errors`, async () => {
      const client = await open();
      const sent = JSON.stringify(ref);
      const answers = () => client.messages.filter(({ type }) => type === 'result' || type === 'error');
      client.socket.send(`{"type":"push","ref":${sent},"items":${JSON.stringify([create('ws-ref')])}}`);
      client.socket.send(`{"type":"shout","ref":${sent}}`);
      client.socket.send(`{"type":"push","ref":${sent},"items":[]}`);
      client.socket.send(`{"ref":${sent}}`);
      await eventually(() => answers().length === 4);
      expect(answers().map(({ type }) => type)).to.have.members(['result', 'error', 'error', 'error']);
      for (const answer of answers()) expect(JSON.stringify(answer.ref)).to.equal(sent);
      await client.close();
    });
  }

  it('has no ref in its answers where none was sent', async () => {
    const client = await open();
    client.socket.send(JSON.stringify({ type: 'push', items: [create('ws-no-ref')] }));
    expect(await client.waitFor('result')).to.not.have.property('ref');
    client.socket.send(JSON.stringify({ type: 'push', items: [] }));
    expect(await client.waitFor('error')).to.not.have.property('ref');
    await client.close();
  });

  it('refuses a query parameter that it does not know, with the nearest name', async () => {
    const client = await open('?curser=abc');
    const [code] = await once(client.socket, 'close');
    expect(code).to.equal(1008);
    const { problem } = client.messages.at(-1);
    expect(problem).to.include({ code: 'invalid_request', status: 400 });
    expect(problem.errors).to.deep.equal([
      { field: 'curser', message: 'there is no query parameter "curser" here; did you mean "cursor"?' },
    ]);
  });

  it('refuses a ref that would not come back as it is, or is too long, however deep', async () => {
    const client = await open();
    client.socket.send('{"type":"push","ref":[1e400],"items":[]}');
    client.socket.send(`{"type":"push","ref":[${'1,'.repeat(400_000)}1],"items":[]}`);
    client.socket.send(`{"type":"push","ref":${'['.repeat(100_000)}${']'.repeat(100_000)},"items":[]}`);
    client.socket.send(JSON.stringify({ type: 'push', ref: 'x'.repeat(1_023), items: [] }));
    client.socket.send(JSON.stringify({ type: 'push', ref: 'ü'.repeat(512), items: [] }));
    await eventually(() => client.messages.filter((each) => each.type === 'error').length === 5);
    for (const { problem, ref } of client.messages.filter((each) => each.type === 'error')) {
      expect(problem.errors[0].field).to.equal('ref');
      expect(problem.detail).to.include('1024 bytes');
      expect(ref).to.equal(undefined);
    }
    await client.close();
  });
});
