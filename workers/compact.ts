// Compaction: one run over all workspaces, in chunks with a pause after each, so that writers pass between them. Every chunk is
// committed by itself: a run that was stopped, or ran twice, only leaves less to do for the next one.
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, type Logger } from '../src/logger.js';
import { deleteStubs, listWorkspaceIds, stubTombstones } from '../src/storage/compactTasks.js';
import type { Database } from '../src/storage/database.js';
import { pruneBatches, pruneOperations } from '../src/storage/pruneLog.js';
import { fromMicros } from '../src/sync/timestamp.js';

export interface CompactDeps {
  database: Database;
  logger: Logger;
  /** The time by which it is judged what is old. */
  nowMicros: () => bigint;
  tombstoneDays: number;
  /** How long a stub stays after its time as a tombstone. */
  stubDays: number;
  logDays: number;
  /** Rows a statement. */
  chunk: number;
  /** Ends the run after the chunk under way. */
  signal: AbortSignal;
}

/** How many rows a run changed. */
export interface Compaction {
  stubbed: number;
  stubsDeleted: number;
  batchesPruned: number;
  operationsPruned: number;
}

const DAY_MICROS = 86_400_000_000n;
const WORKSPACES_A_READ = 100;
/** As long as a chunk of 1,000 rows takes: compaction uses half of a connection at most. */
const PAUSE_MS = 50;

/**
 * Compacts every workspace. A workspace that fails is left to the next run; the others are compacted all the same.
 * @throws an Error at the end when a workspace failed
 */
export async function compact(deps: CompactDeps): Promise<Compaction> {
  const total: Compaction = { stubbed: 0, stubsDeleted: 0, batchesPruned: 0, operationsPruned: 0 };
  let failed = 0;
  for (let ids = await page(deps, ''); ids.length > 0; ids = await page(deps, ids.at(-1) ?? '')) {
    for (const workspaceId of ids) {
      if (deps.signal.aborted) return total;
      try {
        await compactWorkspace(deps, workspaceId, total);
      } catch (error) {
        failed += 1;
        deps.logger.warn('a workspace could not be compacted', { workspaceId, ...describeError(error) });
      }
    }
  }
  if (Object.values(total).some((count) => count > 0)) deps.logger.info('compacted', { ...total });
  if (failed > 0) throw new Error(`${failed} workspaces could not be compacted; the log names them`);
  return total;
}

const page = (deps: CompactDeps, afterId: string) => listWorkspaceIds(deps.database, afterId, WORKSPACES_A_READ);

async function compactWorkspace(deps: CompactDeps, workspaceId: string, total: Compaction) {
  const { database, chunk: limit, tombstoneDays, stubDays, logDays } = deps;
  const olderThan = (days: number) => ({
    workspaceId,
    limit,
    before: fromMicros(deps.nowMicros() - BigInt(days) * DAY_MICROS),
  });
  const tombstones = olderThan(tombstoneDays);
  const stubs = olderThan(tombstoneDays + stubDays);
  const log = olderThan(logDays);
  await inChunks(deps, async () => {
    const count = await stubTombstones(database, tombstones);
    total.stubbed += count;
    return count === limit;
  });
  await inChunks(deps, async () => {
    const count = await deleteStubs(database, stubs);
    total.stubsDeleted += count;
    return count === limit;
  });
  // Batches before their operations: a batch that is still found has the outcomes that its entries ask for.
  await inChunks(deps, async () => {
    const count = await pruneBatches(database, log);
    total.batchesPruned += count;
    return count === limit;
  });
  let afterId: number | undefined = 0;
  await inChunks(deps, async () => {
    const walk = await pruneOperations(database, log, afterId ?? 0);
    total.operationsPruned += walk.deleted;
    afterId = walk.next;
    return afterId !== undefined;
  });
}

/** Repeats `chunk` with pauses while it says that there is more. */
async function inChunks(deps: CompactDeps, chunk: () => Promise<boolean>) {
  while (!deps.signal.aborted && (await chunk())) {
    // An abort ends the pause early; the loop looks at the signal.
    await sleep(PAUSE_MS, undefined, { signal: deps.signal }).catch(() => undefined);
  }
}
