// Compaction under a test's own clock and retention: one run over the system's database, as the scheduled job does it.
import { createLogger } from '../../src/logger.js';
import { type CompactDeps, type Compaction, compact } from '../../workers/compact.js';
import type { System } from './system.js';

export const DAY_MS = 86_400_000;

/** Retentions that keep a system's own scheduled runs from finding anything: the test says when. */
export const KEEP_ALL = { TOMBSTONE_RETENTION_DAYS: '36500', OPLOG_RETENTION_DAYS: '36500' };

/** One run with the default retentions, a small chunk, and what `changes` says. */
export function runCompaction(
  system: System,
  nowMs: () => number,
  changes: Partial<CompactDeps> = {},
): Promise<Compaction> {
  return compact({
    database: system.database,
    logger: createLogger({ level: 'error', process: 'test' }),
    nowMicros: () => BigInt(nowMs()) * 1_000n,
    tombstoneDays: 90,
    stubDays: 275,
    logDays: 90,
    chunk: 2,
    signal: new AbortController().signal,
    ...changes,
  });
}

/** The floor of the feed. */
export async function readFloor(system: System): Promise<number> {
  const [row] = await system.database.select<{ floor: number }>('SELECT floor_seq AS floor FROM workspaces', []);
  return row?.floor ?? Number.NaN;
}

/** How many stubs there are. */
export async function countStubs(system: System): Promise<number> {
  const [row] = await system.database.select<{ count: number }>('SELECT count(*) FROM tasks WHERE stub', []);
  return row?.count ?? Number.NaN;
}
