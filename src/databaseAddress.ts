// From DATABASE_URL to what a PostgreSQL driver needs, TLS included, with libpq's meaning of sslmode, because that is what the
// platforms' URLs are written for (the pg driver reads `require` as `verify-full`, which refuses Heroku's certificates).
import { connect, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { parse, toClientConfig } from 'pg-connection-string';
import { SESSION_OPTIONS } from './sessionSettings.js';

export interface DatabaseAddress {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  ssl: false | Pick<ConnectionOptions, 'rejectUnauthorized' | 'ca' | 'cert' | 'key' | 'checkServerIdentity'>;
  /** Settings of each session, as the server reads them when it begins; absent where a pooler refuses them. */
  options?: string;
}

/**
 * Reads a postgres:// URL. sslmode `disable` means no TLS; `require` and `no-verify` TLS without checking the certificate, unless `require`
 * comes with sslrootcert, which makes it `verify-ca`: the certificate is checked, not its name; `verify-full` checks both. Without sslmode
 * (libpq: `prefer`) the server is asked whether it speaks TLS.
 * @throws an Error with a system code (ECONNREFUSED, ...) when the server has to be asked and does not answer in time
 */
export async function resolveDatabaseAddress(url: string, timeoutMs: number): Promise<DatabaseAddress> {
  const { mode, parsed } = parseLikeLibpq(url);
  const host = parsed.host || 'localhost';
  const port = parsed.port ?? 5432;
  const user = parsed.user ?? '';
  return {
    host,
    port,
    user,
    password: typeof parsed.password === 'string' ? parsed.password : '',
    database: parsed.database || user,
    ssl: await resolveTls(mode, parsed.ssl, () => speaksTls(host, port, timeoutMs)),
    options: [parsed.options, SESSION_OPTIONS].filter(Boolean).join(' '),
  };
}

function parseLikeLibpq(url: string) {
  const given = new URL(url);
  const isSystem = given.searchParams.get('sslrootcert') === 'system';
  // The certificates that Node trusts; libpq then checks the name as well.
  if (isSystem) given.searchParams.delete('sslrootcert');
  const mode = isSystem ? 'verify-full' : (given.searchParams.get('sslmode') ?? 'prefer');
  // What the parser does not know of.
  given.searchParams.set('sslmode', mode === 'no-verify' || mode === 'allow' ? 'prefer' : mode);
  given.searchParams.delete('uselibpqcompat');
  const parsed = toClientConfig(parse(given.href, { useLibpqCompat: true }));
  // The parser leaves some characters of a database's name encoded.
  if (!/^%2f/i.test(given.hostname)) parsed.database = decodeURIComponent(given.pathname.slice(1));
  return { mode, parsed };
}

async function resolveTls(
  mode: string,
  parsed: ReturnType<typeof toClientConfig>['ssl'],
  serverSpeaksTls: () => Promise<boolean>,
): Promise<DatabaseAddress['ssl']> {
  if (mode === 'disable' || typeof parsed !== 'object') return false;
  if ((mode === 'prefer' || mode === 'allow') && !(await serverSpeaksTls())) return false;
  return { rejectUnauthorized: true, ...parsed };
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
