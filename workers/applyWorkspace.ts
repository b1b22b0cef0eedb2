// Applying what is pending in a workspace, transaction by transaction, and isolating what cannot be applied (I5): a failed transaction
// is halved until the one operation that breaks it stands alone; that one is failed or put off, its siblings apply.
import { describeError, type Logger } from '../src/logger.js';
import { ApplyError, type ApplyRequest, type ApplyResult, applyPending } from '../src/storage/applyPending.js';
import type { Database } from '../src/storage/database.js';
import { type BatchPart, type BatchPartState, readParts } from '../src/storage/finishBatches.js';
import { recordAttempt, recordFailure } from '../src/storage/recordFailure.js';
import type { Waiting } from '../src/storage/toldOutcomes.js';
import type { ConflictStrategy } from '../src/sync/merge.js';
import { backoffDelayMs, classifyFault, type RetryOptions } from '../src/sync/retryPolicy.js';
import { fromMicros } from '../src/sync/timestamp.js';
import { EndsWorker, type StartGuard } from './startGuard.js';

export interface ApplyDeps {
  database: Database;
  logger: Logger;
  retry: RetryOptions;
  strategy: ConflictStrategy;
  /** The most operations that one transaction may hold. */
  transactionSize: number;
  nowMicros: () => bigint;
  random: () => number;
  newServerId: () => string;
  /** Finds operations that end their worker. */
  startGuard: StartGuard;
  /** Called after each commit. @param elapsedMs how long the transaction took */
  onApplied: (workspaceId: string, result: ApplyResult, elapsedMs: number) => void;
  /** Called when an operation was given up. */
  onFailed: () => void;
}

/**
 * Operations are applied within milliseconds of their acceptance; what has waited this long may have ended a worker. Also an overload
 * or an outage makes operations old: then a mark costs one more small commit for up to SYNC_TRANSACTION_SIZE of them.
 */
const OLD_AFTER_MICROS = 1_000_000n;

/**
 * Applies every due operation of a workspace up to an operation id, in the order of acceptance.
 * @param waiting who is told what became of his batches
 * @returns where `parts` stand afterwards; nothing where all of them are settled
 * @throws the driver's error on a transient fault; what was committed before it stays
 */
export async function applyWorkspace(
  deps: ApplyDeps,
  workspaceId: string,
  upTo: number,
  parts: BatchPart[],
  waiting?: Waiting,
): Promise<BatchPartState[]> {
  const now = () => fromMicros(deps.nowMicros());
  const { newServerId, strategy } = deps;
  const markStart = (operationIds: number[]) => deps.startGuard.begin(workspaceId, operationIds);
  for (let limit = deps.transactionSize; ; ) {
    const startedAt = performance.now();
    const oldBefore = fromMicros(deps.nowMicros() - OLD_AFTER_MICROS);
    const request = {
      workspaceId,
      upTo,
      limit,
      parts,
      ...(waiting && { waiting }),
      strategy,
      now,
      newServerId,
      oldBefore,
      markStart,
    };
    const attempt = await tryApply(deps, request);
    if ('applied' in attempt) {
      const { settled, dependents } = attempt.applied;
      if (settled + dependents > 0) deps.onApplied(workspaceId, attempt.applied, performance.now() - startedAt);
      for (let count = 0; count < dependents; count += 1) deps.onFailed();
      const { hasMore, hasUnsettled } = attempt.applied;
      // What fails here fails the jobs, whose retry finds all settled: waiters were told already.
      if (!hasMore) return hasUnsettled ? await readParts(deps.database, workspaceId, parts, now()) : [];
      // After a culprit was found the rest goes on in growing steps: k culprits cost about k * log2(n) transactions. Those that are tried
      // one by one are read one by one: reading 500 for each of 500 took the better part of a minute.
      limit = attempt.applied.wasAlone ? 1 : Math.min(limit * 2, deps.transactionSize);
    } else if (attempt.failed.operationIds.length > 1) {
      limit = Math.ceil(attempt.failed.operationIds.length / 2);
    } else {
      await settleCulprit(deps, workspaceId, attempt.failed);
    }
  }
}

async function tryApply(
  deps: ApplyDeps,
  request: ApplyRequest,
): Promise<{ applied: ApplyResult } | { failed: ApplyError }> {
  try {
    return { applied: await applyPending(deps.database, request) };
  } catch (error) {
    if (!(error instanceof ApplyError)) throw error;
    if (classifyFault(error.cause) === 'transient') {
      await noteAttempt(deps, request.workspaceId, error);
      throw error.cause;
    }
    // It failed before any operation was read: there is no culprit to look for.
    if (error.operationIds.length === 0) throw error.cause;
    return { failed: error };
  }
}

/** Best effort: the fault may be that the database is gone. */
async function noteAttempt(deps: ApplyDeps, workspaceId: string, error: ApplyError) {
  if (error.operationIds.length === 0) return;
  try {
    await recordAttempt(deps.database, workspaceId, error.operationIds, fromMicros(deps.nowMicros()));
  } catch (cause) {
    deps.logger.debug('the attempt could not be noted', describeError(cause));
  }
}

async function settleCulprit(deps: ApplyDeps, workspaceId: string, failed: ApplyError) {
  const [operationId] = failed.operationIds;
  if (operationId === undefined) throw failed;
  const endsWorker = failed.cause instanceof EndsWorker;
  const isPermanent = endsWorker || classifyFault(failed.cause) === 'permanent';
  const nowMicros = deps.nowMicros();
  const status = await recordFailure(deps.database, {
    workspaceId,
    operationId,
    error: failed.message,
    isPermanent,
    now: fromMicros(nowMicros),
    nextAttemptAt: (failedAttempts) => {
      // At least one microsecond: an operation that is due at once would be taken again by this very loop.
      const delayMs = Math.max(1, backoffDelayMs(failedAttempts, deps.retry, deps.random()));
      return fromMicros(nowMicros + BigInt(delayMs) * 1000n);
    },
  });
  if (status === 'failed') deps.onFailed();
  if (endsWorker) await deps.startGuard.settled(workspaceId);
  // The database's message may quote what the user wrote: the log gets its code, the operation keeps the message.
  const { code } = describeError(failed.cause);
  deps.logger.warn('an operation could not be applied', { workspaceId, operationId, status, isPermanent, code });
}
