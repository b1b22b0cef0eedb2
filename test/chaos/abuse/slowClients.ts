// Clients that take their time: headers, bodies and connections that come a byte at a time or not at all. They live in a thread of their
// own: thousands of sockets in the thread that measures would be measured with it.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

export type Slowness = 'headers' | 'body' | 'silent';

export interface SlowReport {
  /** How many are still connected. */
  open: number;
  /** How long each closed one was open, in ms. */
  lifetimesMs: number[];
  /** The status that each of them was told before it was closed; 0: none. */
  statuses: number[];
}

export interface SlowClients {
  /** Ends what is still open, and tells how it was. */
  finish(): Promise<SlowReport>;
}

interface Order {
  url: string;
  counts: Record<Slowness, number>;
}

const DRIP_EVERY_MS = 2_000;
const BEGINNINGS: Record<Slowness, string> = {
  headers: 'GET /api/tasks HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
  body: 'POST /api/sync/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"items":[',
  silent: '',
};

/**
 * Opens them all; each sends a byte every two seconds until the server closes it. Their bytes are spread over these seconds, as those of clients
 * who know nothing of each other: 2,000 of them in one turn of this thread were a turn of 60 ms of the server's, five times a run.
 */
export async function openSlowClients(url: string, counts: Record<Slowness, number>): Promise<SlowClients> {
  const order: Order = { url, counts };
  const worker = new Worker(new URL(import.meta.url), { workerData: order });
  await once(worker, 'message');
  return {
    async finish() {
      const answer = once(worker, 'message');
      worker.postMessage('finish');
      const [report]: SlowReport[] = await answer;
      await worker.terminate();
      if (report === undefined) throw new Error('the slow clients told nothing');
      return report;
    },
  };
}

async function openAll({ url, counts }: Order): Promise<() => SlowReport> {
  const { hostname, port } = new URL(url);
  const open = new Set<Socket>();
  const lifetimesMs: number[] = [];
  const statuses: number[] = [];

  let opened = 0;
  function startDrip(socket: Socket) {
    const drip = () => socket.write('a');
    opened += 1;
    const timers = [setTimeout(() => timers.push(setInterval(drip, DRIP_EVERY_MS)), opened % DRIP_EVERY_MS)];
    return () => timers.forEach(clearInterval);
  }

  async function openOne(kind: Slowness) {
    const socket = connect(Number(port), hostname);
    let received = '';
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    await once(socket, 'connect');
    const openedAt = performance.now();
    open.add(socket);
    socket.write(BEGINNINGS[kind]);
    const stopDrip = kind === 'silent' ? undefined : startDrip(socket);
    socket.once('close', () => {
      stopDrip?.();
      open.delete(socket);
      lifetimesMs.push(performance.now() - openedAt);
      statuses.push(Number(/^HTTP\/1\.1 (\d{3})/.exec(received)?.[1] ?? 0));
    });
  }

  for (const kind of ['headers', 'body', 'silent'] as const) {
    // A hundred at a time: a listen queue has an end.
    for (let left = counts[kind]; left > 0; left -= 100) {
      await Promise.all(Array.from({ length: Math.min(100, left) }, () => openOne(kind)));
    }
  }
  return () => ({ open: open.size, lifetimesMs, statuses });
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const report = await openAll(workerData);
  port.once('message', () => port.postMessage(report()));
  port.postMessage('all are open');
}
