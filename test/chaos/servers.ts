// PostgreSQL and Redis of one scenario, in its folder: real servers that can be stopped in every way, killed included, and started again at
// the same address. PostgreSQL keeps fsync and synchronous_commit on: what is lost here would be lost in production.
import { appendFileSync, chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Child } from '../../src/embedded/child.js';
import { startPostgres } from '../../src/embedded/postgres.js';
import { findPostgresBinaries } from '../../src/embedded/postgresBinaries.js';
import { choosePostgresHost } from '../../src/embedded/postgresHost.js';
import { findRedis, type RedisProgram, startRedis } from '../../src/embedded/redis.js';
import { forgetCleanup, registerCleanup } from '../support/cleanup.js';
import { plainEnvironment } from '../support/environment.js';
import { queryDatabase } from '../support/postgres.js';

const STOP_LIMIT_MS = 10_000;
const START_LIMIT_MS = 30_000;
const POLL_MS = 25;
const MAX_CONNECTIONS = 200;

export interface ChaosServer {
  /** Of the server itself, whatever stands between it and the processes. */
  url: string;
  pid(): number;
  isRunning(): boolean;
  /** Asks it to end with this signal and returns when it is gone; SIGKILL takes its children along. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again at the same address; on return it answers. */
  start(): Promise<void>;
  /** For good. Its data stays. */
  stop(): Promise<void>;
}

export interface ChaosPostgres extends ChaosServer {
  /** Where its data is. */
  dataFolder: string;
}

/** Starts PostgreSQL with its data in `folder`/database. */
export async function startChaosPostgres(folder: string, signal: AbortSignal): Promise<ChaosPostgres> {
  const dataDir = join(folder, 'database');
  makeFolder(dataDir);
  return startPostgresIn(dataDir, signal);
}

/**
 * Starts a standby of a running server, with its data in `folder`/standby. The base backup is taken over SQL: the binaries that npm brings have
 * no pg_basebackup.
 * @param wayToPrimary its address as the standby is to reach it
 */
export async function startStandby(
  folder: string,
  primary: ChaosPostgres,
  wayToPrimary: string,
  signal: AbortSignal,
): Promise<ChaosPostgres> {
  const dataDir = join(folder, 'standby');
  makeFolder(dataDir);
  cpSync(join(dirname(primary.dataFolder), 'postgres.password'), join(dataDir, 'postgres.password'));
  const { dataFolder } = choosePostgresHost({ binaries: findPostgresBinaries(), dataDir });
  const admin = new Client({ connectionString: primary.url });
  await admin.connect();
  try {
    // Both in one session, which is what makes it a backup.
    await admin.query("SELECT pg_backup_start('standby', true)");
    cpSync(primary.dataFolder, dataFolder, { recursive: true, filter: (path) => !NOT_COPIED.test(path) });
    for (const each of ['pg_wal', 'pg_wal/archive_status']) mkdirSync(join(dataFolder, each), { mode: 0o700 });
    const { rows } = await admin.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)');
    writeFileSync(join(dataFolder, 'backup_label'), rows[0]?.labelfile ?? '', { mode: 0o600 });
  } finally {
    await admin.end();
  }
  const { hostname, port, username, password } = new URL(wayToPrimary);
  const way = `host=${hostname} port=${port} user=${username} password=${password} sslmode=disable`;
  appendFileSync(join(dataFolder, 'postgresql.auto.conf'), `primary_conninfo = '${way}'\n`);
  writeFileSync(join(dataFolder, 'standby.signal'), '', { mode: 0o600 });
  return startPostgresIn(dataDir, signal);
}

/** What a server writes anew, and what it would take for that of the other one. */
const NOT_COPIED = /\/(pg_wal|postmaster\.(pid|opts)|pg_internal\.init)(\/|$)/;

async function startPostgresIn(dataDir: string, signal: AbortSignal): Promise<ChaosPostgres> {
  const server = await startPostgres({ ...common(dataDir, 'postgres.log', signal), maxConnections: MAX_CONNECTIONS });
  const answers = () => queryDatabase(server.url, 'SELECT 1').then(() => true);
  const { dataFolder } = server;
  return Object.assign(asServer(server.url, server.child, server.restart, answers), { dataFolder });
}

/** Starts Redis with its data in `folder`/redis. */
export async function startChaosRedis(folder: string, signal: AbortSignal): Promise<ChaosServer> {
  const program = findRedis(plainEnvironment().PATH ?? '');
  if (typeof program === 'string') throw new Error(`This scenario needs Redis: ${program}`);
  const dataDir = join(folder, 'redis');
  makeFolder(dataDir);
  const path = allowDebug(program, dataDir);
  const server = await startRedis({ ...common(dataDir, 'redis.log', signal), program: { ...program, path } });
  return asServer(server.url, server.child, server.restart, () => pingRedis(server.url));
}

/** Redis 7 refuses DEBUG SLEEP unless it was started with leave to; older ones do not know the setting. */
function allowDebug({ path, version }: RedisProgram, dataDir: string): string {
  if (Number(version.split('.')[0]) < 7) return path;
  const wrapper = join(dataDir, 'redis-server');
  writeFileSync(wrapper, `#!/bin/sh\nexec '${path}' "$@" --enable-debug-command local\n`, { mode: 0o755 });
  return wrapper;
}

const common = (dataDir: string, logFile: string, signal: AbortSignal) => ({
  dataDir,
  logFile: join(dataDir, logFile),
  env: plainEnvironment(),
  track: () => undefined,
  say: () => undefined,
  signal,
});

function makeFolder(path: string) {
  mkdirSync(path, { recursive: true });
  // PostgreSQL may have to run as another user, which passes through here.
  chmodSync(path, 0o755);
}

async function pingRedis(url: string): Promise<boolean> {
  const { Redis } = await import('ioredis');
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } finally {
    redis.disconnect();
  }
}

function asServer(url: string, first: Child, restart: () => Child, answers: () => Promise<boolean>): ChaosServer {
  let child = first;
  const pid = () => {
    if (child.pid === undefined) throw new Error(`${child.name} was not started`);
    return child.pid;
  };
  const server: ChaosServer = {
    url,
    pid,
    isRunning: () => !child.hasExited(),
    async end(signal) {
      const children = signal === 'SIGKILL' ? childrenOf(pid()) : [];
      for (const each of [pid(), ...children]) send(each, signal);
      await child.exited;
      // A new server refuses the data folder while a process of the old one lives.
      while (children.some(isAlive)) await sleep(POLL_MS);
    },
    async start() {
      child = restart();
      for (const until = Date.now() + START_LIMIT_MS; ; await sleep(POLL_MS)) {
        if (child.hasExited()) throw new Error(`${child.name} ended instead of starting: ${await child.exited}`);
        if (await answers().catch(() => false)) return;
        if (Date.now() > until) throw new Error(`${child.name} does not answer`);
      }
    },
    async stop() {
      forgetCleanup(server);
      await child.stop(STOP_LIMIT_MS);
    },
  };
  registerCleanup(server, server.stop);
  return server;
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').map(Number).filter(Boolean);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie answers to signals as well.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function send(pid: number, signal: NodeJS.Signals) {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}
