import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { resolveDatabaseAddress } from '../../src/databaseAddress.js';
import { queueAddress } from '../../src/queue/backend.js';
import { installationOf } from '../../src/queue/installation.js';

/** A server that answers PostgreSQL's question for TLS with one byte. */
async function answering(byte: string): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => socket.once('data', () => socket.end(byte)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return { port: address.port, server };
}

describe('DATABASE_URL', () => {
  const resolve = (url: string) => resolveDatabaseAddress(url, 1_000);

  it('gives host, port, user, password and database, percent-decoded', async () => {
    expect(await resolve('postgres://us%40er:p%2Fw@db.internal:6543/my%20app?sslmode=disable')).to.deep.include({
      host: 'db.internal',
      port: 6543,
      user: 'us@er',
      password: 'p/w',
      database: 'my app',
      ssl: false,
    });
  });

  it('passes on the options that it gives, and ours behind them', async () => {
    const { options } = await resolve('postgres://u@h/d?sslmode=disable&options=-c%20search_path%3Dapp');
    expect(options).to.match(/^-c search_path=app -c DateStyle=ISO,\\ YMD /);
  });

  it('may name an IPv6 host, a socket folder, and leave out port and database', async () => {
    expect(await resolve('postgresql://u@[::1]?sslmode=disable')).to.include({
      host: '::1',
      port: 5432,
      database: 'u',
    });
    expect(await resolve('postgres://u@localhost/d?host=/var/run/postgresql')).to.include({
      host: '/var/run/postgresql',
      ssl: false,
    });
  });

  const modes: [string, unknown][] = [
    ['disable', false],
    ['no-verify', { rejectUnauthorized: false }],
    ['require', { rejectUnauthorized: false }],
    ['verify-full', { rejectUnauthorized: true }],
  ];
  for (const [mode, ssl] of modes) {
    it(`sslmode=${mode} means what libpq means by it`, async () => {
      expect((await resolve(`postgres://u:p@h/d?sslmode=${mode}`)).ssl).to.deep.equal(ssl);
    });
  }

  for (const mode of ['require', 'verify-ca']) {
    it(`sslmode=${mode} with sslrootcert checks the certificate, not its name`, async () => {
      const { ssl } = await resolve(`postgres://u:p@h/d?sslmode=${mode}&sslrootcert=package.json`);
      expect(ssl).to.include({ rejectUnauthorized: true });
      if (ssl === false) throw new Error('no TLS');
      expect(ssl.ca).to.include('task-sync');
      expect(ssl.checkServerIdentity?.('elsewhere', Object.create(null))).to.equal(undefined);
    });
  }

  it('sslmode=verify-full checks the name as well, sslrootcert=system by what Node trusts', async () => {
    for (const parameters of ['sslmode=verify-full&sslrootcert=package.json', 'sslrootcert=system']) {
      const { ssl } = await resolve(`postgres://u:p@h/d?${parameters}`);
      expect(ssl).to.include({ rejectUnauthorized: true }).and.to.not.have.property('checkServerIdentity');
    }
  });

  for (const [byte, ssl] of [
    ['S', { rejectUnauthorized: false }],
    ['N', false],
  ] as const) {
    it(`without sslmode asks the server: ${byte}`, async () => {
      const { port, server } = await answering(byte);
      expect((await resolve(`postgres://u:p@127.0.0.1:${port}/d`)).ssl).to.deep.equal(ssl);
      await new Promise((closed) => server.close(closed));
    });
  }

  it('without sslmode and without a server fails with a system code', async () => {
    const { port, server } = await answering('N');
    await new Promise((closed) => server.close(closed));
    const failed = await resolve(`postgres://u:p@127.0.0.1:${port}/d`).catch((error: unknown) => error);
    expect(failed).to.have.property('code', 'ECONNREFUSED');
  });
});

describe('REDIS_URL', () => {
  const database = { host: 'db', port: 5432, user: 'u', password: 'p', database: 'd', ssl: false as const };
  const timeLine = { current: () => '7-00000001-16384-16390-u-u-i-d', onChange: () => () => undefined };
  const address = (redisUrl: string | undefined, verifyTls = true) =>
    queueAddress({ redisUrl, verifyTls, commandTimeoutMs: 1_000, prefix: '{p}' }, database, 5_000, timeLine);

  it('that is missing puts the queue into PostgreSQL', () => {
    expect(address(undefined)).to.deep.include({ kind: 'postgres', database, connectTimeoutMs: 5_000 });
  });

  it('gives host, port, credentials and database number', () => {
    expect(address('redis://user:p%40ss@cache.internal:6380/3')).to.deep.include({
      kind: 'redis',
      sharedPrefix: '{p}',
      prefix: `{p}:${installationOf(timeLine.current())}`,
      commandTimeoutMs: 1_000,
      redis: { host: 'cache.internal', port: 6380, db: 3, family: 0, username: 'user', password: 'p@ss' },
    });
  });

  it('with rediss:// speaks TLS, and checks the certificate unless told otherwise', () => {
    const tls = (verify: boolean) => {
      const made = address('rediss://:pw@cache:6390', verify);
      return made.kind === 'redis' ? made.redis.tls : undefined;
    };
    expect(tls(true)).to.deep.equal({ servername: 'cache', rejectUnauthorized: true });
    expect(tls(false)).to.deep.equal({ servername: 'cache', rejectUnauthorized: false });
  });
});
