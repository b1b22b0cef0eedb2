// The proxy of the fault suite against an echo server: each fault does what it says, and nothing else.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startProxy, type TcpProxy } from '../chaos/proxy.js';

/** Long enough that a piece of data would have come back over loopback. */
const SILENCE_MS = 150;

describe('the proxy of the fault suite', () => {
  let echo: Server;
  let echoed: Set<Socket>;
  let proxy: TcpProxy;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    echoed = new Set();
    echo = createServer({ allowHalfOpen: true }, (socket) => {
      echoed.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => echoed.delete(socket));
      socket.pipe(socket);
    });
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const address = echo.address();
    if (typeof address !== 'object' || address === null) throw new Error('the echo server has no port');
    proxy = await startProxy(`redis://127.0.0.1:${address.port}`, 1);
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy.close();
    for (const socket of echoed) socket.destroy();
    echo.close();
    await once(echo, 'close');
  });

  async function open(): Promise<Socket> {
    const socket = connect(proxy.port, '127.0.0.1');
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  async function say(socket: Socket, text: string): Promise<string> {
    let answer = '';
    const complete = new Promise<string>((resolve) => {
      socket.on('data', function read(chunk) {
        answer += chunk;
        if (answer.length < text.length) return;
        socket.off('data', read);
        resolve(answer);
      });
    });
    socket.write(text);
    return complete;
  }

  async function staysSilent(socket: Socket): Promise<void> {
    const heard = say(socket, 'anybody there?').then(() => 'heard' as const);
    const ended = Promise.race([once(socket, 'close'), once(socket, 'end')]).then(() => 'ended' as const);
    expect(await Promise.race([heard, ended, sleep(SILENCE_MS, 'silent' as const)])).to.equal('silent');
  }

  it('passes bytes and ends on as they are', async () => {
    const socket = await open();
    const text = 'x'.repeat(300_000);
    expect(await say(socket, text)).to.equal(text);
    socket.end();
    await once(socket, 'close');
    await once(proxyIdle(), 'idle');
    expect(proxy.openCount()).to.equal(0);
  });

  it('delays each piece, in both directions and in order', async () => {
    await proxy.set({ delayMs: 60, jitterMs: 40 });
    const socket = await open();
    const startedAt = performance.now();
    const pieces = Array.from({ length: 20 }, (_, index) => `${index};`);
    const answer = say(socket, pieces.join(''));
    expect(await answer).to.equal(pieces.join(''));
    // Twice at least delayMs - jitterMs; timers may be a millisecond early.
    expect(performance.now() - startedAt).to.be.greaterThan(38);
  });

  it('keeps to a pace', async () => {
    await proxy.set({ bytesPerS: 20_000 });
    const socket = await open();
    const startedAt = performance.now();
    await say(socket, 'a'.repeat(4_000));
    await say(socket, 'b'.repeat(10));
    expect(performance.now() - startedAt).to.be.greaterThan(190);
  });

  it('resets a share of what is sent', async () => {
    await proxy.set({ resetRate: 1 });
    const socket = await open();
    socket.write('hello');
    const [error] = await once(socket, 'error').catch((cause) => [cause]);
    expect(error).to.have.property('code', 'ECONNRESET');
    expect(proxy.counts.resets).to.equal(1);
  });

  it('resets the open connections on demand and takes new ones', async () => {
    const socket = await open();
    await say(socket, 'hello');
    expect(proxy.resetOpen()).to.equal(1);
    const [error] = await once(socket, 'error').catch((cause) => [cause]);
    expect(error).to.have.property('code', 'ECONNRESET');
    expect(await say(await open(), 'again')).to.equal('again');
  });

  it('refuses new connections, leaves open ones alone, and takes new ones again at the same port', async () => {
    const before = await open();
    await say(before, 'hello');
    await proxy.set({ refuse: true });
    const refused = await once(connect(proxy.port, '127.0.0.1'), 'connect').catch((cause) => cause);
    expect(refused).to.have.property('code', 'ECONNREFUSED');
    expect(await say(before, 'still here')).to.equal('still here');
    await proxy.heal();
    expect(await say(await open(), 'again')).to.equal('again');
  });

  it('swallows as a black hole: open and new connections are silent, and stay so after it; later ones work', async () => {
    const before = await open();
    await say(before, 'hello');
    await proxy.set({ blackhole: true });
    const during = await open();
    await Promise.all([staysSilent(before), staysSilent(during)]);
    await proxy.heal();
    await Promise.all([staysSilent(before), staysSilent(during)]);
    expect(await say(await open(), 'again')).to.equal('again');
    expect(proxy.counts.swallowed).to.be.greaterThan(3);
  });

  it('tells neither side of a half-open connection that the other one has gone', async () => {
    const socket = await open();
    await say(socket, 'hello');
    expect(proxy.turnOpenHalfOpen()).to.equal(1);
    expect(await say(await open(), 'new ones are fine')).to.equal('new ones are fine');
    const [atServer] = echoed;
    socket.destroy();
    await sleep(SILENCE_MS);
    expect(atServer?.destroyed).to.equal(false);
    proxy.forgetHalfOpen();
    if (atServer !== undefined) await once(atServer, 'close');
  });

  /** Rings when the proxy has forgotten its connections, which takes the event loop a turn or two. */
  function proxyIdle() {
    const target = new EventTarget();
    const look = () => {
      if (proxy.openCount() === 0) target.dispatchEvent(new Event('idle'));
      else setImmediate(look);
    };
    setImmediate(look);
    return target;
  }
});
