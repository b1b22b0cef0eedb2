// Clients that take their time: headers, bodies and connections that come a byte at a time or not at all.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export type Slowness = 'headers' | 'body' | 'silent';

export interface SlowClients {
  /** How many are connected now. */
  openCount(): number;
  /** How long each closed one was open, in ms. */
  lifetimesMs: readonly number[];
  /** The status that each was told before it was closed; 0: none. */
  statuses: readonly number[];
  close(): void;
}

const DRIP_EVERY_MS = 2_000;
const BEGINNINGS: Record<Slowness, string> = {
  headers: 'GET /api/tasks HTTP/1.1\r\nHost: a\r\nX-Slow: ',
  body: 'POST /api/sync/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"items":[',
  silent: '',
};

/** Opens them all; each sends a byte every two seconds until the server closes it. */
export async function openSlowClients(url: string, counts: Record<Slowness, number>): Promise<SlowClients> {
  const { hostname, port } = new URL(url);
  const open = new Set<Socket>();
  const lifetimesMs: number[] = [];
  const statuses: number[] = [];
  const timers = new Set<NodeJS.Timeout>();

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
    const timer = kind === 'silent' ? undefined : setInterval(() => socket.write('a'), DRIP_EVERY_MS);
    if (timer !== undefined) timers.add(timer);
    socket.once('close', () => {
      clearInterval(timer);
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
  return {
    openCount: () => open.size,
    lifetimesMs,
    statuses,
    close() {
      for (const timer of timers) clearInterval(timer);
      for (const socket of open) socket.destroy();
    },
  };
}
