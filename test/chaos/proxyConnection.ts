// One connection through the proxy: two directions, each with its own delay and pace, and the ways in which it can go wrong.
import { connect, type Socket } from 'node:net';
import { type CommitWatch, createCommitWatch } from './commitWatch.js';

/** What is wrong with the network just now. What is not given is fine. */
export interface Faults {
  /** Each piece of data, in each direction, comes later by this, plus or minus up to `jitterMs`; the order stays. */
  delayMs: number;
  jitterMs: number;
  /** The share of what clients send that is answered with a reset. */
  resetRate: number;
  /** Of each connection and direction; 0: as fast as it can. */
  bytesPerS: number;
  /** The share of commits whose answer is lost, the connection with it. PostgreSQL only. */
  commitLossRate: number;
  /** Every byte is swallowed, and nobody is told; new connections are accepted and stay silent. */
  blackhole: boolean;
  /** New connections are refused. */
  refuse: boolean;
}

export const NO_FAULTS: Readonly<Faults> = {
  delayMs: 0,
  jitterMs: 0,
  resetRate: 0,
  bytesPerS: 0,
  commitLossRate: 0,
  blackhole: false,
  refuse: false,
};

export interface Counts {
  connections: number;
  resets: number;
  /** Pieces of data that went nowhere. */
  swallowed: number;
  /** Transactions that are done while their caller was cut off. */
  commitsLost: number;
}

export interface ProxyConnection {
  /** Nothing gets through any more, in either direction, and nobody is told: for ever, as after a lost entry in a firewall. */
  turnHalfOpen(): void;
  reset(): void;
  /** Ends a half-open one at last, as keepalive does after its time. */
  forget(): void;
  closed: Promise<void>;
}

export interface ConnectionOptions {
  target: { host: string; port: number };
  isPostgres: boolean;
  faults: () => Readonly<Faults>;
  counts: Counts;
  /** Numbers in [0, 1). */
  random: () => number;
}

/** Joins an accepted socket to the target. */
export function joinSockets(client: Socket, options: ConnectionOptions): ProxyConnection {
  const { counts, faults, random } = options;
  let isHalfOpen = faults().blackhole;
  // A black hole does not even open the way on: the server must not see half a login.
  const server = isHalfOpen ? undefined : connect({ ...options.target, allowHalfOpen: true, noDelay: true });
  const watch: CommitWatch | undefined = options.isPostgres
    ? createCommitWatch(() => random() < faults().commitLossRate)
    : undefined;

  const reset = () => {
    counts.resets += 1;
    client.resetAndDestroy();
    server?.resetAndDestroy();
  };
  const isSwallowed = () => {
    // Once lost, bytes are lost: a connection that missed some must not go on after a heal as if nothing had been.
    isHalfOpen ||= faults().blackhole;
    if (isHalfOpen) counts.swallowed += 1;
    return isHalfOpen;
  };
  const toServer = server === undefined ? undefined : createLane(client, server, faults, random);
  const toClient = server === undefined ? undefined : createLane(server, client, faults, random);

  client.on('data', (chunk: Buffer) => {
    if (isSwallowed()) return;
    if (random() < faults().resetRate) return reset();
    watch?.fromClient(chunk);
    toServer?.send(chunk);
  });
  server?.on('data', (chunk: Buffer) => {
    if (isSwallowed()) return;
    const { forward, isAnswerLost } = watch?.fromServer(chunk) ?? { forward: chunk, isAnswerLost: false };
    if (isAnswerLost) {
      counts.commitsLost += 1;
      return reset();
    }
    if (forward.length > 0) toClient?.send(forward);
  });
  client.on('end', () => (isHalfOpen ? client.destroy() : toServer?.end()));
  server?.on('end', () => (isHalfOpen ? server.destroy() : toClient?.end()));
  for (const socket of [client, server]) socket?.on('error', () => socket.destroy());
  // Whoever leaves takes his peer with him, but not through a black hole: there the peer waits on.
  client.once('close', () => {
    if (!isHalfOpen) server?.destroy();
  });
  server?.once('close', () => {
    if (!isHalfOpen && toClient?.isIdle() !== false) client.destroy();
  });
  // Not events.once: that rejects for a server that refuses the connection.
  const closing = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const closed = Promise.all(server === undefined ? [closing(client)] : [closing(client), closing(server)]).then(
    () => undefined,
  );
  return {
    turnHalfOpen: () => {
      isHalfOpen = true;
    },
    reset,
    forget() {
      if (!isHalfOpen) return;
      client.destroy();
      server?.destroy();
    },
    closed,
  };
}

/** One direction: pieces in their order, each at its time. Holds its source back while the other side does not take them. */
function createLane(from: Socket, to: Socket, faults: () => Readonly<Faults>, random: () => number) {
  let freeAtMs = 0;
  /** One queue and one timer: timers of their own may fire in another order than they are due in, and bytes would change places. */
  const queue: { dueMs: number; work: () => void }[] = [];
  const advance = () => {
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      const waitMs = first.dueMs - performance.now();
      if (waitMs > 0) return void setTimeout(advance, waitMs);
      queue.shift();
      first.work();
    }
  };
  const at = (work: () => void) => {
    const { delayMs, jitterMs } = faults();
    const delay = delayMs + (random() * 2 - 1) * jitterMs;
    freeAtMs = Math.max(freeAtMs, performance.now() + delay);
    queue.push({ dueMs: freeAtMs, work });
    if (queue.length === 1) advance();
  };
  const resume = () => from.resume();
  return {
    isIdle: () => queue.length === 0,
    send(chunk: Buffer) {
      at(() => {
        if (to.destroyed || to.write(chunk)) return;
        from.pause();
        to.once('drain', resume);
      });
      const { bytesPerS } = faults();
      if (bytesPerS > 0) freeAtMs += (chunk.length / bytesPerS) * 1_000;
    },
    end() {
      at(() => {
        if (!to.destroyed) to.end();
      });
    },
  };
}
