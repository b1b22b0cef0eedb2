// Every process that a launcher has started is written to DATA_DIR/children.json before anything else happens to it, so that the next start
// finds what a killed launcher left behind, and so that no way out of this one leaves a process.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from './child.js';
import { identifyProcess, isRunning, killWithGroup, type ProcessRecord, stopRecorded } from './processIdentity.js';

/** One started process: what people call it and how it is asked to stop. */
export interface ChildRecord extends ProcessRecord {
  name: string;
  stopSignal: NodeJS.Signals;
}

export interface ChildRecords {
  /** Writes a child down until it exits. */
  add(child: Child): void;
  /** Kills whatever still runs, at once. The last resort of a process that is about to exit. */
  killAll(): void;
}

/** Stops what an earlier launcher left running in this folder, in the order in which it would have; `say` hears of each. */
export async function stopLeftovers(folder: string, limitMs: number, say: (line: string) => void): Promise<void> {
  // Started last, stopped first.
  for (const record of readRecords(folder).reverse()) {
    if (!isRunning(record)) continue;
    await stopRecorded(record, record.stopSignal, limitMs);
    say(`Stopped ${record.name} (process ${record.pid}), left behind by an earlier start that was killed.`);
  }
  rmSync(fileOf(folder), { force: true });
}

/** The records of this launcher. Call it after stopLeftovers, holding the folder's lock. */
export function createChildRecords(folder: string): ChildRecords {
  const records = new Map<number, ChildRecord>();
  const write = () => {
    const temporary = `${fileOf(folder)}.new`;
    writeFileSync(temporary, JSON.stringify([...records.values()]));
    renameSync(temporary, fileOf(folder));
  };
  return {
    add: ({ pid, name, stopSignal, exited }) => {
      const identity = pid === undefined ? undefined : identifyProcess(pid);
      if (pid === undefined || identity === undefined) return;
      records.set(pid, { ...identity, name, stopSignal });
      write();
      void exited.then(() => records.delete(pid));
    },
    killAll: () => {
      for (const { pid } of records.values()) killWithGroup(pid);
      records.clear();
      rmSync(fileOf(folder), { force: true });
    },
  };
}

function fileOf(folder: string): string {
  return join(folder, 'children.json');
}

function readRecords(folder: string): ChildRecord[] {
  try {
    const records: unknown = JSON.parse(readFileSync(fileOf(folder), 'utf8'));
    return Array.isArray(records) ? records.filter((record) => typeof record?.pid === 'number') : [];
  } catch {
    return [];
  }
}
