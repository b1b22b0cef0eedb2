// One launcher for one data folder. The lock is a file that names its holder; it counts only while that very process runs, so a kill -9 or
// a power cut leaves nothing to clean up by hand.
import { constants, copyFileSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identifyProcess, isRunning, type ProcessRecord } from './processIdentity.js';
import { StartError } from './startError.js';

/**
 * Takes the lock of a data folder for this process.
 * @returns its release.
 * @throws StartError that names the process which holds it.
 */
export function lockFolder(folder: string): () => void {
  const file = join(folder, 'launcher.lock');
  const own = `${file}.${process.pid}`;
  const content = JSON.stringify(identifyProcess(process.pid));
  writeFileSync(own, content);
  try {
    // Each round either takes the lock, finds its holder alive, or removes one stale lock; others may do the same at the same time.
    for (let round = 0; round < 10; round += 1) {
      if (linkIfAbsent(own, file)) return () => releaseLock(file, content);
      const held = readIfPresent(file);
      const holder = parseRecord(held);
      if (holder !== undefined && isRunning(holder)) throw new StartError(describeHolder(folder, holder));
      if (held !== undefined) removeStale(file, held);
    }
    throw new StartError(
      `The data folder ${folder} could not be locked: ${file} keeps coming back. Remove it and start again.`,
    );
  } finally {
    rmSync(own, { force: true });
  }
}

/** The process that holds the folder now, if one does. */
export function findHolder(folder: string): ProcessRecord | undefined {
  const holder = parseRecord(readIfPresent(join(folder, 'launcher.lock')));
  return holder !== undefined && isRunning(holder) ? holder : undefined;
}

function describeHolder(folder: string, holder: ProcessRecord): string {
  return (
    `Task Sync is already running on the data folder ${folder} (process ${holder.pid}). ` +
    'Stop that one first, or start a second one on its own folder and port: DATA_DIR=./.data-2 PORT=5001 npm start'
  );
}

/** Moved away before it is deleted: if another start replaced the stale lock in between, its fresh one is put back. */
function removeStale(file: string, stale: string): void {
  const moved = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, moved);
  } catch {
    return;
  }
  if (readIfPresent(moved) !== stale) linkIfAbsent(moved, file);
  rmSync(moved, { force: true });
}

function releaseLock(file: string, content: string): void {
  if (readIfPresent(file) === content) rmSync(file, { force: true });
}

/** A hard link appears with its whole content or not at all, and fails if the name is taken. Some shared folders know no hard links. */
function linkIfAbsent(from: string, to: string): boolean {
  for (const place of [linkSync, copyExclusively]) {
    try {
      place(from, to);
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      if (place === copyExclusively) throw error;
    }
  }
  return false;
}

function copyExclusively(from: string, to: string): void {
  copyFileSync(from, to, constants.COPYFILE_EXCL);
}

function readIfPresent(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** A lock that cannot be read as one (cut off by a power cut) is stale. */
function parseRecord(text: string | undefined): ProcessRecord | undefined {
  try {
    const record: Partial<ProcessRecord> | null = JSON.parse(text ?? 'null');
    if (typeof record?.pid !== 'number' || typeof record.started !== 'string') return undefined;
    return { pid: record.pid, started: record.started };
  } catch {
    return undefined;
  }
}
