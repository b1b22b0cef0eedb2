// The servers of a test run: a throw-away PostgreSQL, always, and a Redis where there is one. All of a run lies in one folder below the
// system's folder for temporary files; what a killed run left there is ended and removed by the next one.
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChildRecords, createChildRecords, stopLeftovers } from '../../src/embedded/childRecords.js';
import { findHolder, lockFolder } from '../../src/embedded/folderLock.js';
import { startPostgres } from '../../src/embedded/postgres.js';
import { findRedis, startRedis } from '../../src/embedded/redis.js';
import type { Releasers } from '../../src/embedded/releasers.js';

const PREFIX = 'task-sync-test-';
const STOP_LIMIT_MS = 5_000;
/** Two runs of the suites, each with several processes and pools. */
const MAX_CONNECTIONS = 400;

export interface TestServers {
  folder: string;
  databaseUrl: string;
  /** Or in words why there is none. */
  redis: { url: string } | string;
}

/** Starts what a run needs. `releasers` get the ends of it. */
export async function startTestServers(options: {
  env: NodeJS.ProcessEnv;
  releasers: Releasers;
  signal: AbortSignal;
  say(line: string): void;
  /** Asked at the end: true leaves the database server running. */
  keep(): boolean;
}): Promise<TestServers> {
  const { env, releasers, signal, say, keep } = options;
  await removeAbandonedRuns();
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  // PostgreSQL may have to run as another user, which passes through here.
  chmodSync(folder, 0o711);
  const unlock = lockFolder(folder);
  releasers.push(async () => {
    await stopBelow(folder);
    // A kept run stays locked by a process that is gone, which is how the next run knows it.
    if (keep()) return;
    unlock();
    rmSync(folder, { recursive: true, force: true });
  });
  const records = createChildRecords(folder);
  const shared = { dataDir: folder, env, signal, say, track: records.add };
  const databaseUrl = await provideDatabase(shared, records, options);
  const redis = await provideRedis(shared, releasers);
  return { folder, databaseUrl, redis };
}

interface Shared {
  dataDir: string;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  say(line: string): void;
  track: ChildRecords['add'];
}

async function provideDatabase(
  shared: Shared,
  records: ChildRecords,
  { releasers, keep }: { releasers: Releasers; keep(): boolean },
): Promise<string> {
  const given = shared.env.TEST_DATABASE_URL;
  if (given !== undefined && given !== '') return given;
  const server = await startPostgres({
    ...shared,
    logFile: join(shared.dataDir, 'postgres.log'),
    say: () => undefined,
    sharedFolder: join(shared.dataDir, 'shared'),
    durable: false,
    maxConnections: MAX_CONNECTIONS,
  });
  const killAll = () => (keep() ? undefined : records.killAll());
  process.once('exit', killAll);
  releasers.push(async () => {
    if (!keep()) await server.child.stop(STOP_LIMIT_MS);
  });
  return server.url;
}

async function provideRedis(shared: Shared, releasers: Releasers): Promise<TestServers['redis']> {
  const given = shared.env.REDIS_URL;
  if (given !== undefined && given !== '') return { url: given };
  const program = findRedis(shared.env.PATH ?? '');
  if (typeof program === 'string') return program;
  const server = await startRedis({ ...shared, program, logFile: join(shared.dataDir, 'redis.log') });
  releasers.push(async () => void (await server.child.stop(STOP_LIMIT_MS)));
  return { url: server.url };
}

/** A run holds the lock of its folder: where nobody does, the run was killed, or kept by TEST_KEEP. */
async function removeAbandonedRuns(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((each) => each.startsWith(PREFIX))) {
    const folder = join(tmpdir(), name);
    if (!isAbandoned(folder)) continue;
    await stopBelow(folder);
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

/** Launchers that tests started have their folders one level below. */
async function stopBelow(folder: string): Promise<void> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await stopLeftovers(join(folder, entry.name), STOP_LIMIT_MS, () => undefined);
  }
}
