// From DATABASE_URL to what a PostgreSQL driver needs, TLS included, with libpq's meaning of sslmode, because that is what the
// platforms' URLs are written for (the pg driver reads `require` as `verify-full`, which refuses Heroku's certificates).
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

export interface DatabaseAddress {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  ssl: false | { rejectUnauthorized: boolean; ca?: string };
}

/**
 * Reads a postgres:// URL. sslmode `disable` means no TLS, `require` and `no-verify` TLS without checking the certificate,
 * `verify-ca` and `verify-full` with; without sslmode (libpq: `prefer`) the server is asked whether it speaks TLS.
 * @throws an Error with a system code (ECONNREFUSED, ...) when the server has to be asked and does not answer in time
 */
export async function resolveDatabaseAddress(url: string, timeoutMs: number): Promise<DatabaseAddress> {
  const parsed = new URL(url);
  const host = parsed.searchParams.get('host') ?? decodeURIComponent(parsed.hostname).replace(/^\[(.*)\]$/, '$1');
  const port = Number(parsed.port || 5432);
  const mode = parsed.searchParams.get('sslmode') ?? 'prefer';
  const rootCertificate = parsed.searchParams.get('sslrootcert');
  return {
    host: host || 'localhost',
    port,
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    database: decodeURIComponent(parsed.pathname.slice(1)) || decodeURIComponent(parsed.username),
    ssl: await resolveTls(mode, rootCertificate, () => speaksTls(host || 'localhost', port, timeoutMs)),
  };
}

async function resolveTls(mode: string, rootCertificate: string | null, serverSpeaksTls: () => Promise<boolean>) {
  if (mode === 'disable') return false;
  if (mode === 'verify-ca' || mode === 'verify-full') {
    return {
      rejectUnauthorized: true,
      ...(rootCertificate === null ? {} : { ca: readFileSync(rootCertificate, 'utf8') }),
    };
  }
  if (mode === 'require' || mode === 'no-verify') return { rejectUnauthorized: false };
  return (await serverSpeaksTls()) ? { rejectUnauthorized: false } : false;
}

/** Sends the protocol's SSLRequest; the server answers one byte, S or N (PostgreSQL documentation, "Message Flow"). */
function speaksTls(host: string, port: number, timeoutMs: number): Promise<boolean> {
  if (host.startsWith('/')) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host, port, timeout: timeoutMs });
    const finish = (settle: () => void) => {
      socket.destroy();
      settle();
    };
    socket.once('connect', () => socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])));
    socket.once('data', (answer) => finish(() => resolve(answer[0] === 'S'.charCodeAt(0))));
    socket.once('error', (error) => finish(() => reject(error)));
    socket.once('timeout', () => finish(() => reject(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }))));
    socket.once('close', () => reject(Object.assign(new Error('connection closed'), { code: 'ECONNRESET' })));
  });
}
