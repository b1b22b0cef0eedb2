// A proxy in front of PostgreSQL that ends sessions at the moments that are hardest for a client, every time, where a server that is
// restarted or an operator does it now and then.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** In the very packet that makes it usable, at its first statement, or in the very packet that confirms its LISTEN. */
export type Moment = 'ready' | 'first statement' | 'listening';

export interface SessionProxy {
  /** The database's address with the proxy in its place. */
  url: string;
  /** From now on sessions end at this moment; without one they live. */
  endAt(moment?: Moment): void;
  /** How many have been ended. */
  ended(): number;
  /** Cuts those that are open. */
  cut(): void;
  /** From now on new ones are refused, as by a server that is down. */
  refuse(): void;
  /** No longer. */
  accept(): Promise<void>;
  close(): void;
}

/** A message of PostgreSQL's protocol: its type, its length, its content. */
export function protocolMessage(type: string, content: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

export const READY_FOR_QUERY = protocolMessage('Z', Buffer.from('I'));
export const ENDED_BY_OPERATOR = protocolMessage(
  'E',
  Buffer.from('SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'),
);

/** @param targetUrl of a database on this machine */
export async function startSessionProxy(targetUrl: string): Promise<SessionProxy> {
  const url = new URL(targetUrl);
  const target = { host: url.hostname, port: Number(url.port || 5432) };
  const open = new Set<Socket>();
  let moment: Moment | undefined;
  let count = 0;

  function join(client: Socket) {
    const server = connect(target);
    const born = moment;
    // Not later: one that lies in a pool meanwhile would end when everything is believed to be well again.
    const endsAt = (wanted: Moment) => born === wanted && moment === wanted;
    let isReady = false;
    let asksToListen = false;
    open.add(client);
    for (const socket of [client, server]) socket.on('error', () => undefined);
    client.on('close', () => {
      open.delete(client);
      server.destroy();
    });
    server.on('close', () => client.end());
    client.on('data', (chunk) => {
      asksToListen ||= chunk.includes('LISTEN ');
      if (isReady && endsAt('first statement')) {
        count += 1;
        client.destroy();
      } else if (!server.destroyed) server.write(chunk);
    });
    server.on('data', (chunk) => {
      const isAnswered = chunk.subarray(-READY_FOR_QUERY.length).equals(READY_FOR_QUERY);
      isReady ||= isAnswered;
      if (isAnswered && (endsAt('ready') || (asksToListen && endsAt('listening')))) {
        count += 1;
        // A server that has said so does nothing any more: a claim that reached it would be of a job that nobody works on until its lock has expired.
        server.destroy();
        client.end(Buffer.concat([chunk, ENDED_BY_OPERATOR]));
      } else client.write(chunk);
    });
  }

  let server: Server;
  const listen = async (port: number) => {
    server = createServer(join).listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  // What is encrypted could not be read along.
  url.searchParams.set('sslmode', 'disable');
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    url: url.href,
    endAt(wanted) {
      moment = wanted;
    },
    ended: () => count,
    cut,
    refuse: () => void server.close(),
    accept: async () => void (await listen(port)),
    close() {
      server.close();
      cut();
    },
  };
}
