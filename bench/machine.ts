// The line that says where numbers come from: without it they mean nothing.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { resolve } from 'node:path';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  system: string;
  /** Of the folder that holds the databases: on tmpfs a commit costs nothing, and the numbers would flatter everyone but RxDB. */
  fileSystem: string;
  node: string;
  postgres: string;
  redis: string;
}

export const UNKNOWN_MACHINE: Machine = {
  cpu: 'unknown',
  cores: 0,
  memoryGb: 0,
  system: 'unknown',
  fileSystem: 'unknown',
  node: 'unknown',
  postgres: 'unknown',
  redis: 'unknown',
};

/** Looks at this machine. @param dataFolder where the databases will lie */
export function describeMachine(dataFolder: string): Machine {
  return {
    ...UNKNOWN_MACHINE,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    fileSystem: fileSystemOf(dataFolder),
    node: process.versions.node,
  };
}

/** As one line of prose. */
export function machineLine(machine: Machine): string {
  const { cpu, cores, memoryGb, system, fileSystem, node, postgres, redis } = machine;
  return `${cpu}, ${cores} cores, ${memoryGb} GB, ${system}, ${fileSystem}; Node ${node}, PostgreSQL ${postgres}, Redis ${redis}`;
}

/** The commit that is measured, with a mark for uncommitted changes. */
export function describeCommit(root: string): string {
  try {
    const git = (...parameters: string[]) =>
      execFileSync('git', ['-C', root, ...parameters], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
    const dirty = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with uncommitted changes';
    return `${git('rev-parse', '--short', 'HEAD')}${dirty}`;
  } catch {
    return 'unknown';
  }
}

/** The type of the longest mount point that holds the folder. Linux only. */
function fileSystemOf(folder: string): string {
  if (platform() !== 'linux') return 'unknown file system';
  const path = `${resolve(folder)}/`;
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, point = '/-']) => path.startsWith(point.endsWith('/') ? point : `${point}/`))
    .sort(([, a = ''], [, b = '']) => b.length - a.length);
  return mounts[0]?.[2] ?? 'unknown file system';
}
