// As whom PostgreSQL runs. It refuses to run as root, so root needs a way around:
//   self       a normal user: started as it is.
//   namespace  root: inside a user namespace that shows root's files as those of user 1000. Everything stays where and whose it is, also
//              below a 0700 home. Containers often forbid it.
//   account    root, where a namespace is refused: as the system user `postgres`, with binaries and data where that user can reach them.
// Rejected: ambient capabilities (PostgreSQL looks at the effective user id, not at capabilities).
import { spawnSync } from 'node:child_process';
import { type PostgresBinaries, programPath } from './postgresBinaries.js';
import { findOrCreateAccount } from './systemAccount.js';

export type RunMode = 'self' | 'namespace' | 'account';

export const ACCOUNT = 'postgres';
const NAMESPACE_ARGUMENTS = ['--user', '--map-user=1000', '--map-group=1000'];

export interface Owner {
  uid: number;
  gid: number;
}

/** How a program is started in one of the modes. */
export interface Runner {
  mode: RunMode;
  /** The program and arguments to really spawn. */
  command(program: string, parameters: string[]): [string, string[]];
  /** Set where the spawned process changes its user. */
  spawnAs?: Owner;
  /** Whose the data folder must be; undefined on systems without user ids. */
  owner: Owner | undefined;
}

/** The ways that this user has on this system, the best first. */
export function defaultModes(): RunMode[] {
  if (process.getuid?.() !== 0) return ['self'];
  return process.platform === 'linux' ? ['namespace', 'account'] : ['account'];
}

/** Starts programs as the user that this process runs as. */
export function selfRunner(): Runner {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  const owner = uid === undefined || gid === undefined ? undefined : { uid, gid };
  return { mode: 'self', command: (program, parameters) => [program, parameters], owner };
}

/** Starts programs in a user namespace where root is user 1000. */
export function namespaceRunner(): Runner {
  return {
    mode: 'namespace',
    command: (program, parameters) => ['unshare', [...NAMESPACE_ARGUMENTS, program, ...parameters]],
    owner: { uid: 0, gid: 0 },
  };
}

/** Starts programs as the system user, which is made if there is none. */
export function accountRunner(): Runner {
  const owner = findOrCreateAccount(ACCOUNT);
  return { mode: 'account', command: (program, parameters) => [program, parameters], spawnAs: owner, owner };
}

/** The version as the program itself says it when started this way, or undefined if it does not start. */
export function askVersion(runner: Runner, binaries: PostgresBinaries): string | undefined {
  return runQuietly(runner, programPath(binaries, 'postgres'), ['--version'])?.match(/\d+(\.\d+|\w+)?/)?.[0];
}

/** Whether programs that are started this way can reach a folder. */
export function canEnter(runner: Runner, folder: string): boolean {
  return runQuietly(runner, '/bin/sh', ['-c', 'cd "$1" && echo yes', 'sh', folder]) !== undefined;
}

function runQuietly(runner: Runner, program: string, parameters: string[]): string | undefined {
  const [file, rest] = runner.command(program, parameters);
  const asked = spawnSync(file, rest, {
    ...runner.spawnAs,
    cwd: '/',
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return asked.status === 0 ? asked.stdout : undefined;
}
