// Half-open connections are cut, all of them together; slow and idle ones are left alone.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createSilenceWatch } from '../../src/silence.js';

const LIMIT_MS = 200;

describe('the watch for silent connections', () => {
  let server: Server;
  let isSilent = false;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    isSilent = false;
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk) => {
        if (!isSilent) socket.write(chunk);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    server.close();
    await once(server, 'close');
  });

  async function open(): Promise<Socket> {
    const address = server.address();
    const socket = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  async function ask(socket: Socket) {
    const answer = once(socket, 'data');
    socket.write('hello');
    await answer;
  }

  it('cuts one that owes an answer too long, though it is written to again and again, and with it those not heard since', async () => {
    const watch = createSilenceWatch(LIMIT_MS);
    const [busy, idle] = [await open(), await open()];
    for (const socket of [busy, idle]) {
      watch(socket);
      await ask(socket);
    }
    isSilent = true;
    const ends = [busy, idle].map((socket) => once(socket, 'error').catch((error: unknown) => [error]));
    const writing = setInterval(() => busy.write('anybody there?'), 20);
    const cutIdle = new Promise((resolve) => idle.once('close', resolve));
    const [first] = await Promise.all(ends);
    clearInterval(writing);
    expect(first?.[0]).to.have.property('code', 'ETIMEDOUT');
    await cutIdle;
  });

  it('cuts one that has never answered, also for what was written before it was watched', async () => {
    isSilent = true;
    const socket = await open();
    const ended = new Promise((resolve) => socket.once('error', resolve));
    socket.write('hello');
    createSilenceWatch(LIMIT_MS)(socket);
    expect(await ended).to.have.property('code', 'ETIMEDOUT');
  });

  it('leaves idle ones and slow ones alone', async () => {
    const watch = createSilenceWatch(LIMIT_MS);
    const [idle, slow] = [await open(), await open()];
    for (const socket of [idle, slow]) {
      watch(socket);
      await ask(socket);
    }
    for (let count = 0; count < 10; count += 1) {
      await sleep(LIMIT_MS / 4);
      await ask(slow);
    }
    expect([idle.destroyed, slow.destroyed]).to.deep.equal([false, false]);
  });
});
