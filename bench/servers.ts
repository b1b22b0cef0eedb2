// The servers of a part: a PostgreSQL and a Redis of its own in a folder of its own, as the product runs them on one machine (embedded
// binaries, fsync and synchronous_commit on; append-only file). Nothing of another part is in their caches, and nothing outlives it.
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createChildRecords, stopLeftovers } from '../src/embedded/childRecords.js';
import { findHolder, lockFolder } from '../src/embedded/folderLock.js';
import { startPostgres } from '../src/embedded/postgres.js';
import { findRedis, startRedis } from '../src/embedded/redis.js';
import type { Releasers } from '../src/embedded/releasers.js';
import { plainEnvironment } from './environment.js';
import type { MeteredProcess } from './meter.js';

const PREFIX = 'task-sync-bench-';
const STOP_LIMIT_MS = 20_000;
/** Stacks of a part run side by side, each with its pools. */
const MAX_CONNECTIONS = 400;

export interface Servers {
  folder: string;
  /** Of the maintenance database; its user may create others. */
  adminUrl: string;
  postgresVersion: string;
  /** Undefined where there is no redis-server: `why` says so. */
  redis: { url: string; version: string } | { why: string };
  /** What to meter: postgres, and redis if there is one. */
  processes: MeteredProcess[];
  /** Writes a child down, so that no way out of this process leaves it running. */
  track: ReturnType<typeof createChildRecords>['add'];
  /** Changes a setting that needs a restart of PostgreSQL, and restarts it. */
  restartPostgresWith(setting: string, value: string): Promise<void>;
}

/** Starts both; `releasers` get their ends. @throws StartError when PostgreSQL does not start */
export async function startServers(releasers: Releasers, signal: AbortSignal): Promise<Servers> {
  await removeAbandonedRuns();
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  // PostgreSQL may have to run as another user, which passes through here.
  chmodSync(folder, 0o711);
  const unlock = lockFolder(folder);
  releasers.push(() => {
    unlock();
    rmSync(folder, { recursive: true, force: true });
  });
  const records = createChildRecords(folder);
  process.once('exit', records.killAll);
  releasers.push(() => {
    process.off('exit', records.killAll);
    records.killAll();
  });
  const shared = { dataDir: folder, env: plainEnvironment, signal, say: () => undefined, track: records.add };
  const database = await startPostgres({
    ...shared,
    logFile: join(folder, 'postgres.log'),
    sharedFolder: join(folder, 'shared'),
    maxConnections: MAX_CONNECTIONS,
  });
  let postgres = database.child;
  releasers.push(async () => void (await postgres.stop(STOP_LIMIT_MS)));
  const processes: MeteredProcess[] = [];
  const meterPostgres = () => {
    const others = processes.filter(({ name }) => name !== 'postgres');
    processes.splice(0, processes.length, { name: 'postgres', pid: postgres.pid ?? 0, hasChildren: true }, ...others);
  };
  meterPostgres();
  const redis = await provideRedis(shared, releasers, processes);
  return {
    folder,
    adminUrl: database.url,
    postgresVersion: database.version,
    redis,
    processes,
    track: records.add,
    async restartPostgresWith(setting, value) {
      await query(database.url, `ALTER SYSTEM SET ${setting} = ${value}`);
      await postgres.stop(STOP_LIMIT_MS);
      postgres = database.restart();
      meterPostgres();
      await waitUntilItAnswers(database.url, signal);
    },
  };
}

/** A run holds the lock of its folder: where nobody does, the run was killed, and what it left is ended and removed. */
async function removeAbandonedRuns() {
  for (const name of readdirSync(tmpdir()).filter((each) => each.startsWith(PREFIX))) {
    const folder = join(tmpdir(), name);
    if (!isAbandoned(folder)) continue;
    await stopLeftovers(folder, STOP_LIMIT_MS, () => undefined);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Without a lock it has just been made by another run; one that cannot be read is another user's. */
function isAbandoned(folder: string): boolean {
  try {
    return readdirSync(folder).includes('launcher.lock') && findHolder(folder) === undefined;
  } catch {
    return false;
  }
}

interface Shared {
  dataDir: string;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  say(line: string): void;
  track: Servers['track'];
}

async function provideRedis(
  shared: Shared,
  releasers: Releasers,
  processes: MeteredProcess[],
): Promise<Servers['redis']> {
  const program = findRedis(shared.env.PATH ?? '');
  if (typeof program === 'string') return { why: program };
  const server = await startRedis({ ...shared, program, logFile: join(shared.dataDir, 'redis.log') });
  releasers.push(async () => void (await server.child.stop(STOP_LIMIT_MS)));
  processes.push({ name: 'redis', pid: server.child.pid ?? 0 });
  return { url: server.url, version: program.version };
}

/** Makes an empty database. @returns its URL */
export async function createDatabase(servers: Servers, name: string): Promise<string> {
  await query(servers.adminUrl, `CREATE DATABASE ${name}`);
  return databaseUrl(servers, name);
}

function databaseUrl({ adminUrl }: Servers, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/**
 * Vacuums and analyzes every database: what autovacuum would do within its minute, and in the middle of somebody's round. Without statistics
 * plans are guesses, and the same variant has other plans in the first round than in the last.
 */
export async function settleDatabases(servers: Servers): Promise<void> {
  const databases = await query<{ name: string }>(
    servers.adminUrl,
    `SELECT datname AS name FROM pg_database WHERE datallowconn AND datname NOT LIKE 'template%'`,
  );
  for (const { name } of databases) await query(databaseUrl(servers, name), 'VACUUM (ANALYZE)');
}

/** Runs statements on a database and returns the rows of the last one. */
export async function query<Row extends object>(url: string, sql: string, values?: unknown[]): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'task-sync bench' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const result = await client.query<Row>(sql, values);
    return (Array.isArray(result) ? result.at(-1) : result).rows;
  } finally {
    await client.end();
  }
}

async function waitUntilItAnswers(url: string, signal: AbortSignal) {
  for (const until = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    signal.throwIfAborted();
    try {
      await query(url, 'SELECT');
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
    }
  }
}
