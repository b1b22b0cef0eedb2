// The embedded PostgreSQL: real server, own data folder, loopback only, password only. What it commits is on disk (fsync and
// synchronous_commit stay on); only the tests may trade that for speed.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { type Child, spawnChild } from './child.js';
import { findPostgresBinaries, programPath } from './postgresBinaries.js';
import { clearStalePidFile, hasUsableData, initialiseData, SUPERUSER } from './postgresData.js';
import { choosePostgresHost, type PostgresHost } from './postgresHost.js';
import type { RunMode } from './postgresRunner.js';
import { readOrMakeSecret } from './secret.js';
import { StartError } from './startError.js';
import { startServer } from './startServer.js';

export const DATABASE = 'task_sync';
const CONNECT_LIMIT_MS = 2_000;

export interface PostgresOptions {
  dataDir: string;
  logFile: string;
  env: NodeJS.ProcessEnv;
  /** Gets every process that is started here, at once. */
  track(child: Child): void;
  say(line: string): void;
  signal: AbortSignal;
  /** False: no fsync, for tests. */
  durable?: boolean;
  maxConnections?: number;
  /** For tests: the ways to run as root that are tried, and the folder of the fallback. */
  modes?: RunMode[];
  sharedFolder?: string;
}

export interface PostgresServer {
  /** Of the product's database; it holds the password. */
  url: string;
  port: number;
  version: string;
  dataFolder: string;
  child: Child;
  /** Starts it again on the same port, after its process has ended. */
  restart(): Child;
}

/**
 * Starts PostgreSQL on a free port, making its data folder and the database on first use.
 * @throws StartError with what to do; then no process is left.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { dataDir, say } = options;
  const host = choosePostgresHost({
    binaries: findPostgresBinaries(),
    dataDir,
    ...(options.modes && { modes: options.modes }),
    ...(options.sharedFolder && { sharedFolder: options.sharedFolder }),
  });
  if (host.note !== undefined) say(host.note);
  const password = await prepareData(options, host);
  const spawn = (port: number) => {
    clearStalePidFile(host.dataFolder);
    const child = spawnPostgres(options, host, port);
    options.track(child);
    return child;
  };
  const urlOf = (port: number, database: string) => `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${database}`;
  const answers = (port: number) => ensureDatabase(urlOf(port, 'postgres'), host.dataFolder);
  const { port, child } = await startServer({ name: 'PostgreSQL', ...options, spawn, answers });
  const { version, dataFolder } = host;
  return { url: urlOf(port, DATABASE), port, version, dataFolder, child, restart: () => spawn(port) };
}

/** The address of the PostgreSQL that runs on a data folder, its password included; undefined if none does. */
export function databaseUrlOf(dataDir: string): string | undefined {
  const pidFile = join(dataDir, 'postgres', 'postmaster.pid');
  const passwordFile = join(dataDir, 'postgres.password');
  if (!existsSync(pidFile) || !existsSync(passwordFile)) return undefined;
  // Its lines: process, folder, start, port.
  const [, , , port] = readFileSync(pidFile, 'utf8').split('\n');
  return `postgres://${SUPERUSER}:${readFileSync(passwordFile, 'utf8').trim()}@127.0.0.1:${port}/${DATABASE}`;
}

/** Makes the data on first use. Returns the password, which is written before the data that needs it. */
async function prepareData(options: PostgresOptions, host: PostgresHost): Promise<string> {
  const passwordFile = join(options.dataDir, 'postgres.password');
  const durable = options.durable !== false;
  if (hasUsableData(host)) {
    if (!existsSync(passwordFile)) {
      throw new StartError(
        `${passwordFile} is missing: without it the data in ${host.dataFolder} cannot be opened. Put it back from a backup.`,
      );
    }
    return readOrMakeSecret(passwordFile);
  }
  options.say('Preparing the database; this happens once and takes a few seconds ...');
  const password = readOrMakeSecret(passwordFile);
  await initialiseData({ ...options, host, password, durable, env: cleanEnvironment(options.env) });
  return password;
}

function spawnPostgres(options: PostgresOptions, host: PostgresHost, port: number): Child {
  const durable = options.durable === false ? 'off' : 'on';
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    shared_buffers: '128MB',
    max_connections: options.maxConnections ?? 100,
    fsync: durable,
    synchronous_commit: durable,
    full_page_writes: durable,
    // Compiling a plan costs more than it saves on statements of a few milliseconds.
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    logging_collector: 'off',
  };
  const parameters = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [command, rest] = host.command(programPath(host.binaries, 'postgres'), ['-D', host.dataFolder, ...parameters]);
  return spawnChild({
    name: 'PostgreSQL',
    command,
    parameters: rest,
    env: cleanEnvironment(options.env),
    logFile: options.logFile,
    // "Fast shutdown": ends sessions and writes a checkpoint. SIGTERM would wait for every client to leave.
    stopSignal: 'SIGINT',
    cwd: '/',
    ...(host.spawnAs === undefined ? {} : { spawnAs: host.spawnAs }),
  });
}

/** PGDATA, PGPORT and the like are about another PostgreSQL. English messages, because people search for them. */
function cleanEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('PG') && !name.startsWith('LC_'));
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}

/** False while it does not accept connections; true when the product's database is there. */
async function ensureDatabase(adminUrl: string, dataFolder: string): Promise<boolean> {
  const client = new Client({ connectionString: adminUrl, connectionTimeoutMillis: CONNECT_LIMIT_MS });
  // Without a listener a connection that breaks while idle would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const found = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === '28P01') {
      throw new StartError(
        `The password in postgres.password does not fit the data in ${dataFolder}. Put the right one back.`,
      );
    }
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
