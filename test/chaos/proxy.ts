// A TCP proxy that makes networks fail: it stands between the product's processes and PostgreSQL or Redis, on loopback, and what is wrong
// can be changed while connections are open. Seeded: the same seed draws the same numbers, as far as the same bytes come in the same order.
import { createServer, type Server, type Socket } from 'node:net';
import { createRandom } from '../support/oracle.js';
import { type Counts, type Faults, joinSockets, NO_FAULTS, type ProxyConnection } from './proxyConnection.js';

export interface TcpProxy {
  port: number;
  /** The address of the target with the proxy in its place. */
  url: string;
  /** How often which fault has struck. */
  counts: Readonly<Counts>;
  /** From now on exactly these faults. */
  set(faults: Partial<Faults>): Promise<void>;
  /** From now on no faults; connections that have lost bytes stay lost. */
  heal(): Promise<void>;
  /** The connections that are open turn half-open for ever; new ones are fine. @returns how many there were */
  turnOpenHalfOpen(): number;
  /** Ends the half-open ones at last, as keepalive does after its time: a server keeps their sessions until then. */
  forgetHalfOpen(): void;
  /** Resets the connections that are open. @returns how many there were */
  resetOpen(): number;
  /** New connections go to another server, as when an address is moved. */
  leadTo(targetUrl: string): void;
  /** How many connections are open. */
  openCount(): number;
  close(): Promise<void>;
}

/**
 * Listens on a free port of 127.0.0.1.
 * @param targetUrl a postgres:// or redis:// address
 * @param seed for the faults that strike by chance
 */
export async function startProxy(targetUrl: string, seed: number): Promise<TcpProxy> {
  const parsed = new URL(targetUrl);
  const isPostgres = parsed.protocol.startsWith('postgres');
  const targetOf = ({ hostname, port }: URL) => ({ host: hostname, port: Number(port || (isPostgres ? 5432 : 6379)) });
  let target = targetOf(parsed);
  const counts: Counts = { connections: 0, resets: 0, swallowed: 0, commitsLost: 0 };
  const random = createRandom(seed);
  const open = new Set<ProxyConnection>();
  let faults: Readonly<Faults> = NO_FAULTS;

  function accept(client: Socket) {
    counts.connections += 1;
    const connection = joinSockets(client, { target, isPostgres, faults: () => faults, counts, random });
    open.add(connection);
    void connection.closed.then(() => open.delete(connection));
  }
  let server = createListener(accept);
  const port = await listen(server, 0);
  parsed.hostname = '127.0.0.1';
  parsed.port = String(port);
  // What is encrypted could not be read along.
  if (isPostgres) parsed.searchParams.set('sslmode', 'disable');

  async function set(changed: Partial<Faults>) {
    faults = { ...NO_FAULTS, ...changed };
    if (faults.refuse && server.listening) server.close();
    if (faults.refuse || server.listening) return;
    // A closed server cannot listen again.
    server = createListener(accept);
    await listen(server, port);
  }

  return {
    port,
    url: parsed.href,
    counts,
    set,
    heal: () => set({}),
    turnOpenHalfOpen() {
      for (const connection of open) connection.turnHalfOpen();
      return open.size;
    },
    forgetHalfOpen() {
      for (const connection of [...open]) connection.forget();
    },
    resetOpen() {
      const count = open.size;
      for (const connection of [...open]) connection.reset();
      return count;
    },
    leadTo(url) {
      target = targetOf(new URL(url));
    },
    openCount: () => open.size,
    async close() {
      if (server.listening) server.close();
      for (const connection of [...open]) connection.reset();
      await Promise.all([...open].map(({ closed }) => closed));
    },
  };
}

function createListener(accept: (client: Socket) => void): Server {
  return createServer({ allowHalfOpen: true, noDelay: true }, accept);
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
