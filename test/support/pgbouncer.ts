// A real PgBouncer in transaction mode in front of a test database, as Debian ships it: it knows nothing of prepared statements before 1.21.
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { forgetCleanup, registerCleanup } from './cleanup.js';
import { createTestFolder } from './folders.js';
import { freePort } from './ports.js';
import { queryDatabase } from './postgres.js';

const PROGRAM = '/usr/sbin/pgbouncer';
const START_LIMIT_MS = 10_000;

export const hasPgBouncer = () => existsSync(PROGRAM);

export interface PgBouncer {
  /** The same database through it. */
  url: string;
  stop(): Promise<void>;
}

/** @param settings lines of its configuration, beside those that say where */
export async function startPgBouncer(databaseUrl: string, settings: string[] = []): Promise<PgBouncer> {
  const { hostname, port: serverPort, username, password, pathname } = new URL(databaseUrl);
  const folder = createTestFolder('pgbouncer');
  const port = await freePort();
  const file = join(folder.path, 'pgbouncer.ini');
  const lines = [
    '[databases]',
    `* = host=${hostname} port=${serverPort} user=${username} password=${decodeURIComponent(password)}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    'default_pool_size = 6',
    'max_client_conn = 200',
    ...settings,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o644 });
  // It refuses to run as root.
  const isRoot = process.getuid?.() === 0;
  const child = spawn(PROGRAM, [...(isRoot ? ['-u', 'nobody'] : []), file], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `postgres://${username}@127.0.0.1:${port}${pathname}?sslmode=disable`;
  for (const until = Date.now() + START_LIMIT_MS; ; await sleep(50)) {
    if (
      await queryDatabase(url, 'SELECT 1').then(
        () => true,
        () => false,
      )
    )
      break;
    if (Date.now() > until || child.exitCode !== null) throw new Error('PgBouncer does not answer');
  }
  const bouncer: PgBouncer = {
    url,
    async stop() {
      forgetCleanup(bouncer);
      child.kill('SIGKILL');
      await exited;
      await folder.remove();
    },
  };
  registerCleanup(bouncer, bouncer.stop);
  return bouncer;
}
