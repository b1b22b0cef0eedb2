// Ports on this machine: a free one, and whether a wanted one is free. Nothing is started before the wanted port was looked at.
import { connect, createServer } from 'node:net';
import { StartError } from './startError.js';

/** How long a program that listens may take to accept; loopback answers in well under a millisecond. */
const CONNECT_LIMIT_MS = 500;
const WILDCARDS = new Set(['0.0.0.0', '::']);

/** A port of `host` that nobody listens on now. Another program may take it before it is used: be ready to ask again. */
export async function findFreePort(host = '127.0.0.1'): Promise<number> {
  return tryToListen(host, 0);
}

/**
 * The port to serve on: the wanted one, or any free one for 0.
 * @throws StartError if it is in use or may not be used, with what to do.
 */
export async function claimPort(host: string, wanted: number): Promise<number> {
  if (wanted !== 0 && (await someoneAccepts(host, wanted))) throw new StartError(await describeTaken(host, wanted));
  try {
    return await tryToListen(host, wanted);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE') throw new StartError(await describeTaken(host, wanted));
    if (code === 'EACCES') {
      throw new StartError(`No permission to use port ${wanted}. Choose one above 1023: PORT=5000 npm start`);
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EINVAL') {
      throw new StartError(`HOST=${host} is no address of this machine. Leave HOST out to serve on 127.0.0.1 only.`);
    }
    throw error;
  }
}

/** The host to reach a server at that listens on `host`. */
export function reachableHost(host: string): string {
  return WILDCARDS.has(host) ? '127.0.0.1' : host;
}

async function describeTaken(host: string, port: number): Promise<string> {
  let other = port + 1;
  while (other < 65_535 && !(await isFree(host, other))) other += 1;
  return `Port ${port} is in use by another program. Stop it, or choose another port: PORT=${other} npm start`;
}

async function isFree(host: string, port: number): Promise<boolean> {
  if (await someoneAccepts(host, port)) return false;
  return tryToListen(host, port).then(
    () => true,
    () => false,
  );
}

function tryToListen(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}

/**
 * Listening may succeed beside a program that listens on all addresses (macOS serves AirPlay on port 5000 like that), and `localhost` would
 * then lead to the other one: so it is also tried whether anyone answers, on both loopback addresses.
 */
async function someoneAccepts(host: string, port: number): Promise<boolean> {
  const isLocal = host === '127.0.0.1' || host === 'localhost' || WILDCARDS.has(host);
  const hosts = isLocal ? ['127.0.0.1', '::1'] : [host];
  const answers = await Promise.all(hosts.map((each) => accepts(each, port)));
  return answers.includes(true);
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_LIMIT_MS });
    const settle = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
}
