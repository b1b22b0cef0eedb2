// A disk that can be filled: a small tmpfs, where this machine lets us mount one.
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { forgetCleanup, registerCleanup } from '../support/cleanup.js';

export interface SmallDisk {
  /** Writes until there is no byte left. @returns how many bytes that took */
  fill(): number;
  /** Removes what fill wrote. */
  makeRoom(): void;
  freeBytes(): number;
  /** What lies on it is gone then. */
  remove(): void;
}

const MIB = 1_048_576;

/** @returns the disk, mounted at `path`; or in words why there is none */
export function mountSmallDisk(path: string, sizeMib: number): SmallDisk | string {
  mkdirSync(path, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', path], { encoding: 'utf8' });
  if (mounted.status !== 0) return `mount says: ${mounted.stderr?.trim() || mounted.error?.message}`;
  // PostgreSQL may have to run as another user, which passes through here.
  chmodSync(path, 0o755);
  const ballast = join(path, 'ballast');
  const disk: SmallDisk = {
    fill() {
      const file = openSync(ballast, 'a');
      let written = 0;
      try {
        for (let size = MIB; size >= 4_096; ) {
          const more = tryWrite(file, size);
          written += more;
          // Not even a part of it: smaller pieces may still find room.
          if (more === 0) size /= 4;
        }
      } finally {
        closeSync(file);
      }
      return written;
    },
    makeRoom: () => rmSync(ballast, { force: true }),
    freeBytes() {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    },
    remove() {
      forgetCleanup(disk);
      const unmounted = spawnSync('umount', ['--lazy', path], { encoding: 'utf8' });
      if (unmounted.status !== 0) throw new Error(`${path} could not be unmounted: ${unmounted.stderr}`);
    },
  };
  registerCleanup(disk, disk.remove);
  return disk;
}

function tryWrite(file: number, size: number): number {
  try {
    return writeSync(file, Buffer.alloc(size));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return 0;
    throw error;
  }
}
