// The order of a start: lock, leftovers, port, PostgreSQL, Redis, migration, worker, API. Everything that is opened pushes its closer at once,
// so a stop runs backwards (API, worker, Redis, PostgreSQL) from wherever the start had got to.
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../config/index.js';
import { leaveApiAddress, removeApiAddress } from './apiAddress.js';
import { describeAddress, type Summary } from './banner.js';
import { type Child, spawnChild, waitForEnd } from './child.js';
import { type ChildRecords, createChildRecords, stopLeftovers } from './childRecords.js';
import { lockFolder } from './folderLock.js';
import { describeTrouble, followLog, listenForLastWords, rotateLog } from './logFile.js';
import { claimPort } from './ports.js';
import { startPostgres } from './postgres.js';
import { waitUntilReady } from './readiness.js';
import { findRedis, startRedis } from './redis.js';
import type { Releasers } from './releasers.js';
import { StartError } from './startError.js';
import { type SupervisedChild, superviseChild } from './supervise.js';

/** A child with the same limit as ours ends on its own just before it would be killed. */
const GRACE_MS = 1_000;

export interface LaunchContext {
  config: Config;
  /** The environment that the children start from. */
  env: NodeJS.ProcessEnv;
  say(line: string): void;
  /** Aborted when the start is to end, with the reason. */
  signal: AbortSignal;
  /** Ends everything because of a fault. */
  giveUp(error: Error): void;
  releasers: Releasers;
}

/** What the steps of a launch share. */
interface Launch extends LaunchContext {
  records: ChildRecords;
  logsFolder: string;
  stopLimitMs: number;
}

/**
 * Starts everything that is not given by DATABASE_URL and REDIS_URL, then the worker and the API, and returns when the API is ready.
 * @throws StartError with what to do. The releasers hold what was started until then.
 */
export async function launch(context: LaunchContext): Promise<Summary> {
  const { config } = context;
  const current = await openDataFolder(context);
  const port = await claimPort(config.host, config.port);
  const database = await provideDatabase(current);
  const queue = await provideQueue(current);
  const env = {
    ...context.env,
    DATA_DIR: config.dataDir,
    DATABASE_URL: database.url,
    // Empty, not absent: a .env file must not bring another one in.
    REDIS_URL: queue.url ?? '',
    PORT: String(port),
  };
  await migrate(current, env);
  startProcess(current, 'The worker', 'worker', '../../workers/main.js', env);
  const api = startProcess(current, 'The API', 'api', '../api/main.js', env);
  await waitUntilReady({
    host: config.host,
    port,
    logFile: join(current.logsFolder, 'api.log'),
    signal: context.signal,
  });
  api.markUp();
  context.releasers.push(leaveApiAddress(config.dataDir, config.host, port));
  return {
    host: config.host,
    port,
    hasDashboard: !config.isProduction || config.adminToken !== undefined,
    database: database.description,
    queue: queue.description,
    dataDir: config.dataDir,
    logsFolder: current.logsFolder,
    startedInMs: performance.now(),
  };
}

/** The data folder, ours alone and with nothing running in it that an earlier start left behind. */
async function openDataFolder(context: LaunchContext): Promise<Launch> {
  const { config, releasers, say } = context;
  const logsFolder = join(config.dataDir, 'logs');
  // PostgreSQL's log quotes statements, which may hold what people wrote.
  mkdirSync(logsFolder, { recursive: true, mode: 0o700 });
  accessSync(config.dataDir, constants.W_OK);
  releasers.push(lockFolder(config.dataDir));
  const stopLimitMs = config.shutdownTimeoutMs + GRACE_MS;
  removeApiAddress(config.dataDir);
  await stopLeftovers(config.dataDir, stopLimitMs, say);
  const records = createChildRecords(config.dataDir);
  releasers.push(records.killAll);
  // However this process ends, short of a kill -9, it leaves no child.
  process.once('exit', records.killAll);
  return { ...context, records, logsFolder, stopLimitMs };
}

async function provideDatabase(current: Launch): Promise<{ url: string; description: string }> {
  const { config, signal, say, env } = current;
  if (config.database.url !== undefined) {
    return {
      url: config.database.url,
      description: `PostgreSQL at ${describeAddress(config.database.url)} (DATABASE_URL)`,
    };
  }
  const logFile = openLog(current, 'postgres');
  const track = current.records.add;
  const server = await startPostgres({ dataDir: config.dataDir, logFile, env, track, say, signal });
  supervise(current, server.child, server.restart, logFile).markUp();
  const description = `PostgreSQL ${server.version} on 127.0.0.1:${server.port}, data in ${server.dataFolder}`;
  return { url: server.url, description };
}

async function provideQueue(current: Launch): Promise<{ url: string | undefined; description: string }> {
  const { config, env, say, signal } = current;
  const { redisUrl } = config.queue;
  if (redisUrl !== undefined) {
    return { url: redisUrl, description: `BullMQ on Redis at ${describeAddress(redisUrl)} (REDIS_URL)` };
  }
  const program = findRedis(env.PATH ?? '');
  if (typeof program === 'string') {
    return { url: undefined, description: `BullMQ on PostgreSQL, in the same database (${program})` };
  }
  const logFile = openLog(current, 'redis');
  const track = current.records.add;
  const server = await startRedis({ program, dataDir: config.dataDir, logFile, env, track, say, signal });
  supervise(current, server.child, server.restart, logFile).markUp();
  const description = `BullMQ on Redis ${program.version} on 127.0.0.1:${server.port} (found ${program.path}; no REDIS_URL)`;
  return { url: server.url, description };
}

async function migrate(current: Launch, env: NodeJS.ProcessEnv): Promise<void> {
  const { signal, stopLimitMs } = current;
  signal.throwIfAborted();
  const logFile = openLog(current, 'migrate');
  const lastWords = listenForLastWords(logFile);
  const child = spawnEntry(current, { name: 'The migration', entry: '../migrate.js', env, logFile });
  const how = await waitForEnd(child, stopLimitMs, signal);
  if (how === 'exit code 0') return;
  throw new StartError(
    `The database could not be prepared (${how}; the log is ${logFile}). Last words: ${lastWords()}`,
  );
}

/** Starts one of our own entry files under supervision, its warnings and errors shown in the terminal. */
function startProcess(
  current: Launch,
  name: string,
  kind: string,
  entry: string,
  env: NodeJS.ProcessEnv,
): SupervisedChild {
  current.signal.throwIfAborted();
  const logFile = openLog(current, kind);
  const start = () => spawnEntry(current, { name, entry, env, logFile });
  return supervise(current, start(), start, logFile);
}

function spawnEntry(
  current: Launch,
  options: { name: string; entry: string; env: NodeJS.ProcessEnv; logFile: string },
): Child {
  const child = spawnChild({
    ...options,
    command: process.execPath,
    parameters: [...process.execArgv, fileURLToPath(new URL(options.entry, import.meta.url))],
    stopSignal: 'SIGTERM',
    ipc: true,
  });
  current.records.add(child);
  return child;
}

function supervise(current: Launch, child: Child, start: () => Child, logFile: string): SupervisedChild {
  const { say, giveUp, releasers, stopLimitMs } = current;
  const supervised = superviseChild({ child, start, logFile, say, giveUp });
  releasers.push(() => supervised.stop(stopLimitMs));
  return supervised;
}

function openLog(current: Launch, name: string): string {
  const logFile = join(current.logsFolder, `${name}.log`);
  rotateLog(logFile);
  const stop = followLog(logFile, (lines) => {
    for (const line of describeTrouble(lines, logFile)) current.say(line);
  });
  current.releasers.push(stop);
  return logFile;
}
