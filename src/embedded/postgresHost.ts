// Where PostgreSQL and its data lie: in node_modules and in DATA_DIR, or, where root has to run it as another user, in places that this user
// can reach. Wherever the data went at first, every later start finds it there: DATA_DIR/postgres is the data folder or a link to it.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { PostgresBinaries } from './postgresBinaries.js';
import {
  ACCOUNT,
  accountRunner,
  askVersion,
  canEnter,
  defaultModes,
  namespaceRunner,
  type RunMode,
  type Runner,
  selfRunner,
} from './postgresRunner.js';
import { StartError } from './startError.js';

/** Where root's fallback keeps what the account must reach. */
const SHARED_FOLDER = '/var/lib/task-sync';

export interface PostgresHost extends Runner {
  binaries: PostgresBinaries;
  /** Like "18.4". */
  version: string;
  /** The data folder; it may not exist yet, its parent does. */
  dataFolder: string;
  /** A sentence for the person at the terminal, where something is not at its usual place. */
  note?: string;
}

/**
 * Decides as whom PostgreSQL runs here and where its data lies.
 * @param options.modes for tests: the modes to try, in this order.
 * @throws StartError if it cannot run on this machine, with what to do instead.
 */
export function choosePostgresHost(options: {
  binaries: PostgresBinaries;
  dataDir: string;
  modes?: RunMode[];
  sharedFolder?: string;
}): PostgresHost {
  const { binaries, dataDir, modes = defaultModes(), sharedFolder = SHARED_FOLDER } = options;
  const link = join(dataDir, 'postgres');
  const dataFolder = isLink(link) ? resolve(dataDir, readlinkSync(link)) : link;
  if (modes[0] === 'self') return adopt(selfRunner(), binaries, dataFolder);
  if (modes.includes('namespace')) {
    const runner = namespaceRunner();
    if (askVersion(runner, binaries) !== undefined && canEnter(runner, dirname(dataFolder))) {
      return adopt(runner, binaries, dataFolder);
    }
  }
  return adoptAccount(accountRunner(), binaries, link, dataFolder, sharedFolder);
}

/** Makes a folder that the host's PostgreSQL may use as its own. */
export function makeOwnedFolder(host: PostgresHost, folder: string): void {
  mkdirSync(folder, { mode: 0o700 });
  if (host.spawnAs !== undefined) chownSync(folder, host.spawnAs.uid, host.spawnAs.gid);
}

function adopt(runner: Runner, binaries: PostgresBinaries, dataFolder: string): PostgresHost {
  const version = askVersion(runner, binaries);
  if (version === undefined) {
    throw new StartError(
      `The PostgreSQL in ${binaries.folder} does not run on this machine (its C library may be another one, as on Alpine Linux). Set DATABASE_URL to a PostgreSQL database of yours.`,
    );
  }
  if (existsSync(dataFolder)) giveTo(runner, dataFolder);
  return { ...runner, binaries, version, dataFolder };
}

/** The account reads the binaries where they are if it can, else a copy; likewise the data. */
function adoptAccount(
  runner: Runner,
  binaries: PostgresBinaries,
  link: string,
  wantedFolder: string,
  sharedFolder: string,
): PostgresHost {
  const notes: string[] = [];
  let usable = binaries;
  if (askVersion(runner, binaries) === undefined) {
    usable = copyBinaries(binaries, sharedFolder);
    notes.push(`a copy of its binaries is in ${usable.folder}`);
  }
  let dataFolder = wantedFolder;
  if (!canEnter(runner, dirname(wantedFolder))) {
    if (existsSync(join(wantedFolder, 'PG_VERSION'))) throw new StartError(describeUnreachable(wantedFolder));
    dataFolder = linkToShared(link, sharedFolder);
    notes.push(`its data is in ${dataFolder}, because that user cannot reach ${dirname(wantedFolder)}`);
  }
  const note = `PostgreSQL does not run as root: it runs as the system user ${ACCOUNT}${notes.map((each) => `; ${each}`).join('')}.`;
  return { ...adopt(runner, usable, dataFolder), note };
}

function describeUnreachable(dataFolder: string): string {
  return (
    `The data in ${dataFolder} is out of reach for the system user ${ACCOUNT}, which PostgreSQL needs here because it does not run as root. ` +
    'Start as a normal user, or move the data folder to a place that every user can reach and set DATA_DIR to it.'
  );
}

function copyBinaries(binaries: PostgresBinaries, sharedFolder: string): PostgresBinaries {
  const version = askVersion(selfRunner(), binaries) ?? 'unknown';
  const folder = join(sharedFolder, `postgresql-${version}`);
  if (existsSync(folder)) return { folder };
  makeReachable(sharedFolder);
  const temporary = `${folder}.${process.pid}`;
  cpSync(binaries.folder, temporary, { recursive: true, verbatimSymlinks: true });
  // npm may have installed them for its user alone (umask 077).
  spawnSync('chmod', ['-R', 'a+rX', temporary]);
  try {
    renameSync(temporary, folder);
  } catch (error) {
    // Another start was faster.
    rmSync(temporary, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return { folder };
}

/** DATA_DIR/postgres becomes a link to a new folder, so that later starts find the data in every mode. */
function linkToShared(link: string, sharedFolder: string): string {
  const parent = join(sharedFolder, randomBytes(6).toString('hex'));
  makeReachable(sharedFolder);
  makeReachable(parent);
  const dataFolder = join(parent, 'postgres');
  rmSync(link, { recursive: true, force: true });
  symlinkSync(dataFolder, link);
  return dataFolder;
}

/** For every user, whatever the umask. */
function makeReachable(folder: string): void {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
}

/** The data belongs to whoever runs PostgreSQL: root may have used another mode before. */
function giveTo(runner: Runner, dataFolder: string): void {
  const { owner } = runner;
  if (owner === undefined || statSync(dataFolder).uid === owner.uid) return;
  if (runner.mode === 'self') {
    throw new StartError(
      `The data in ${dataFolder} belongs to another user (uid ${statSync(dataFolder).uid}). Start as that user, or choose another data folder: DATA_DIR=/path/to/folder npm start`,
    );
  }
  for (const path of readdirSync(dataFolder, { recursive: true, encoding: 'utf8' })) {
    lchownSync(join(dataFolder, path), owner.uid, owner.gid);
  }
  chownSync(dataFolder, owner.uid, owner.gid);
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}
