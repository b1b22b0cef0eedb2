// The system user that PostgreSQL runs as when root starts it and a user namespace is refused. It gets no home, no shell and no password.
import { spawnSync } from 'node:child_process';
import { StartError } from './startError.js';

/** Each system has one of these two; both make a system user with a group of the same name. */
const CREATE_COMMANDS: readonly [string, ...string[]][] = [
  ['useradd', '--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin'],
  ['adduser', '-S', '-D', '-H', '-s', '/sbin/nologin'],
];

/**
 * The ids of a system user, which is created if there is none.
 * @throws StartError if it does not exist and cannot be created.
 */
export function findOrCreateAccount(name: string): { uid: number; gid: number } {
  const existing = findAccount(name);
  if (existing !== undefined) return existing;
  for (const [command, ...parameters] of CREATE_COMMANDS) {
    spawnSync(command, [...parameters, name], { stdio: 'ignore' });
    const created = findAccount(name);
    if (created !== undefined) return created;
  }
  throw new StartError(
    `PostgreSQL does not run as root, and the system user ${name} to run it as could not be created. Start as a normal user, or set DATABASE_URL to a PostgreSQL database of yours.`,
  );
}

/** The ids of a system user, or undefined if there is none of this name. */
export function findAccount(name: string): { uid: number; gid: number } | undefined {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }));
  if (uid?.status !== 0 || gid?.status !== 0) return undefined;
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}
