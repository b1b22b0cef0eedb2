// The data folder of the embedded PostgreSQL: made once, in a temporary folder that is renamed when it is complete, so that a first start
// which was killed leaves nothing half done; refused when another version wrote it.

import { spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Child, spawnChild, waitForEnd } from './child.js';
import { listenForLastWords } from './logFile.js';
import { programPath } from './postgresBinaries.js';
import { makeOwnedFolder, type PostgresHost } from './postgresHost.js';
import { identifyProcess, isTaken } from './processIdentity.js';
import { StartError } from './startError.js';

export const SUPERUSER = 'task_sync';
/** Locale C sorts as bytes, the same on every machine. */
const INITDB = [
  ...['--username', SUPERUSER, '--auth=scram-sha-256'],
  ...['--encoding=UTF8', '--locale=C', '--no-instructions'],
];
const STOP_LIMIT_MS = 5_000;

/**
 * True if the folder holds data that the host's PostgreSQL can open, false if there is none yet.
 * @throws StartError if it holds something else.
 */
export function hasUsableData(host: PostgresHost): boolean {
  const { dataFolder, version } = host;
  if (!existsSync(dataFolder)) return false;
  const versionFile = join(dataFolder, 'PG_VERSION');
  if (!existsSync(versionFile)) {
    if (readdirSync(dataFolder).length === 0) return false;
    throw new StartError(
      `${dataFolder} is no PostgreSQL data folder (it has no PG_VERSION). Move it away, or choose another data folder: DATA_DIR=/path/to/folder npm start`,
    );
  }
  const written = readFileSync(versionFile, 'utf8').trim();
  const major = version.match(/^\d+/)?.[0] ?? version;
  if (written !== major) throw new StartError(describeOtherVersion(dataFolder, written, version));
  return true;
}

/** Makes the data folder. `track` gets the process, so that it can be stopped. */
export async function initialiseData(options: {
  host: PostgresHost;
  password: string;
  logFile: string;
  env: NodeJS.ProcessEnv;
  durable: boolean;
  track(child: Child): void;
  signal: AbortSignal;
}): Promise<void> {
  const { host } = options;
  const temporary = `${host.dataFolder}.new`;
  rmSync(temporary, { recursive: true, force: true });
  makeOwnedFolder(host, temporary);
  const passwordFile = join(temporary, 'password');
  writeFileSync(passwordFile, `${options.password}\n`, { mode: 0o600 });
  if (host.spawnAs !== undefined) chownSync(passwordFile, host.spawnAs.uid, host.spawnAs.gid);
  const files = ['--pgdata', join(temporary, 'data'), '--pwfile', passwordFile];
  const parameters = options.durable ? INITDB : [...INITDB, '--no-sync'];
  const lastWords = listenForLastWords(options.logFile);
  const [command, rest] = host.command(programPath(host.binaries, 'initdb'), [...files, ...parameters]);
  const child = spawnChild({
    name: 'initdb',
    command,
    parameters: rest,
    env: options.env,
    logFile: options.logFile,
    stopSignal: 'SIGTERM',
    cwd: '/',
    ...(host.spawnAs === undefined ? {} : { spawnAs: host.spawnAs }),
  });
  options.track(child);
  const how = await waitForEnd(child, STOP_LIMIT_MS, options.signal);
  if (how !== 'exit code 0') {
    throw new StartError(
      `PostgreSQL could not make its data folder (${how}; its log is ${options.logFile}). Last words: ${lastWords()}`,
    );
  }
  // At most an empty one is there: anything else was refused before.
  if (existsSync(host.dataFolder)) rmdirSync(host.dataFolder);
  renameSync(join(temporary, 'data'), host.dataFolder);
  rmSync(temporary, { recursive: true, force: true });
}

/**
 * Removes the pid file of a PostgreSQL that did not end by itself, if its pid is that of a zombie or of some other program today: PostgreSQL
 * would take that for itself and refuse to start. (It still refuses by its shared memory if processes of the old one are alive.)
 * @throws StartError if a PostgreSQL that we did not start runs on this folder.
 */
export function clearStalePidFile(dataFolder: string): void {
  const file = join(dataFolder, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 0 || !isTaken(pid)) return;
  if (identifyProcess(pid) !== undefined && commandLine(pid).includes(dataFolder)) {
    throw new StartError(
      `Another PostgreSQL (process ${pid}) is running on the data folder ${dataFolder}. Stop it and start again.`,
    );
  }
  rmSync(file);
}

function describeOtherVersion(dataFolder: string, written: string, version: string): string {
  return (
    `The data in ${dataFolder} was written by PostgreSQL ${written}; this Task Sync brings PostgreSQL ${version}, which cannot open it. Nothing was changed. ` +
    'Keep that folder and either start with a new one (DATA_DIR=./.data-new npm start), or take the data along: ' +
    `dump it with PostgreSQL ${written} (pg_dump) and load the dump into the new one (psql).`
  );
}

function commandLine(pid: number): string {
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    } catch {
      return '';
    }
  }
  return spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '';
}
