// Applying a workspace's pending operations: one transaction locks the workspace (I3), reads what is pending and the tasks it
// names, folds it with the pure merge, and writes tasks, outcomes and the new seq with one statement. Two round trips for up to
// SYNC_TRANSACTION_SIZE operations; a statement for each operation was measured at six times the cost (143 against 25 us).
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ConflictStrategy, FoldResult, Outcome } from '../sync/merge.js';
import { foldOperations } from '../sync/merge.js';
import type { Database } from './database.js';
import { type BatchPart, finishOn } from './finishBatches.js';
import { lockOn } from './lockWorkspace.js';
import { operationOf, type PendingRow, READ_PENDING, tasksOf } from './pendingRows.js';
import type { Session } from './statement.js';
import { findAwaited, type ToldOutcomes, tellAwaited, type Waiting } from './toldOutcomes.js';
import { foldBind, type QueuedOperation, WRITE_FOLD } from './writeFold.js';

export interface ApplyRequest {
  workspaceId: string;
  /** The last operation id to apply. */
  upTo: number;
  /** At most this many operations. */
  limit: number;
  /** The parts of batches that are asked about. */
  parts?: BatchPart[];
  /** Who is told what became of his batches. */
  waiting?: Waiting;
  /** lww if it is not given. */
  strategy?: ConflictStrategy;
  now: () => string;
  newServerId: () => string;
  /** Operations accepted at or before this time (canonical) have waited suspiciously long: their start is marked by `markStart`. */
  oldBefore?: string;
  /** Marks the start of an attempt on old operations; what it throws ends the attempt, and is about the first one. */
  markStart?: (operationIds: number[]) => Promise<StartedAttempt>;
}

/** An attempt whose start is committed. */
export interface StartedAttempt {
  /** Only the first of the operations is to be tried. */
  isAlone: boolean;
  /** Called while the workspace is locked, when this process has done its part: the writes are sent, or it failed. */
  outlived(): Promise<void>;
  /** Called after the commit. */
  applied(): Promise<void>;
}

export interface ApplyResult {
  /** How many operations were settled. */
  settled: number;
  /** How many failed with the create of their task. */
  dependents: number;
  /** False: nothing is left that is due. */
  hasMore: boolean;
  /** One operation was tried alone because an earlier attempt did not end; others of that attempt may follow. */
  wasAlone: boolean;
  outcomes: Partial<Record<Outcome, number>>;
  /** The workspace's seq afterwards. */
  seq: number;
  /** Of the database in which that is so: see FeedHead. */
  incarnation: string;
  /** The highest operation id that was settled or failed, 0 when there was none. */
  lastId: number;
  /** Nothing up to this operation is due any more. What was put off is settled later, behind operations with higher ids. */
  settledUpTo: number;
  /** The batches that they came with. */
  batchIds: string[];
  /** How long each had waited since it was accepted, in seconds. */
  waitedS: number[];
  /** What became of the batches that were waited for, by process. */
  told: ReadonlyMap<string, ToldOutcomes>;
  /** Whether something of the request's parts of batches still waits, or has failed. */
  hasUnsettled: boolean;
}

/** A transaction that failed and was rolled back, with the operations that it held: the cause is one of them or the surroundings. */
export class ApplyError extends Error {
  override name = 'ApplyError';
  constructor(
    override readonly cause: unknown,
    readonly operationIds: number[],
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/**
 * Applies up to `limit` due operations in the order of acceptance. Operations that wait for their next attempt are left out, and with them what
 * stands behind them on the same task.
 * @throws ApplyError; nothing was changed then
 */
export async function applyPending(database: Database, request: ApplyRequest): Promise<ApplyResult> {
  const attempt: Attempt = { taken: [] };
  try {
    const applied = await database.pipeline((session, sendCommit) => applyOn(session, sendCommit, request, attempt));
    await attempt.started?.applied();
    database.sawOperation(applied.lastId);
    return applied;
  } catch (error) {
    throw new ApplyError(error, attempt.taken);
  }
}

/** What is known of an attempt when it fails. */
interface Attempt {
  /** The operations that it was about. */
  taken: number[];
  started?: StartedAttempt | undefined;
}

interface ReadRows {
  rows: PendingRow[];
  /** The workspace's, before them. */
  seq: number;
  /** Behind it batches are not finished yet. */
  finishedUpTo: number;
}

async function applyOn(session: Session, sendCommit: () => void, request: ApplyRequest, attempt: Attempt) {
  const { workspaceId, upTo, limit } = request;
  // Both go out with BEGIN; each begins when the one before it has ended.
  const [seq, found] = await Promise.all([
    lockOn(session, workspaceId),
    session.run<PendingRow>(READ_PENDING, [workspaceId, upTo, request.now(), limit, request.oldBefore ?? null]),
  ]);
  const rows = await start(found, request, attempt);
  // Rows come in the order of their ids: behind the last one that was asked for nothing follows, even where the limit is reached.
  const mayFollow = found.length === limit && (found.at(-1)?.queueId ?? 0) < upTo;
  const hasMore = rows.length < found.length || mayFollow;
  // Behind the last operation no batch is settled yet: of a backlog of 100,000 operations thousands would be looked at each time.
  const finishedUpTo = hasMore ? (rows.at(-1)?.queueId ?? upTo) : upTo;
  const { started } = attempt;
  const send = () => sendWrites(session, request, { rows, seq, finishedUpTo });
  const { folded, awaited, writing } = started === undefined ? send() : await outlivedBy(started, send);
  if (started === undefined) sendCommit();
  const [, finished] = await writing;
  const batchIds = [...new Set(rows.flatMap((row) => row.batchId ?? []))];
  const wasAlone = started?.isAlone === true;
  return {
    ...summarize(folded),
    settledUpTo: finishedUpTo,
    hasMore,
    wasAlone,
    batchIds,
    waitedS: rows.map((row) => row.waitedS),
    told: tellAwaited(awaited, finished),
    hasUnsettled: finished.hasUnsettled,
    incarnation: finished.incarnation,
  };
}

/** Takes the operations that are to be tried now, and marks their start where that is due. */
async function start(found: PendingRow[], request: ApplyRequest, attempt: Attempt): Promise<PendingRow[]> {
  const ids = found.map((row) => row.queueId);
  // What the mark throws is about the first one alone.
  attempt.taken = ids.slice(0, 1);
  if (found[0]?.isOld === true) attempt.started = await request.markStart?.(ids);
  if (attempt.started?.isAlone === true) return found.slice(0, 1);
  attempt.taken = ids;
  return found;
}

/** Decides the operations and sends what follows from them, without waiting for it. */
function sendWrites(session: Session, request: ApplyRequest, { rows, seq, finishedUpTo }: ReadRows) {
  const { workspaceId, parts = [], waiting, newServerId, strategy = 'lww' } = request;
  const now = request.now();
  const operations = rows.map(operationOf);
  const tasks = tasksOf(rows);
  const folded = foldOperations({ tasks, operations, seq, now, newServerId, strategy });
  const awaited = findAwaited({ waiting, rows, tasks, folded });
  const asked = awaited.operations.size === 0 ? undefined : [...awaited.tasks.values()];
  const finishing = { upTo: finishedUpTo, parts, now, tasks: asked };
  const writing = Promise.all([
    rows.length === 0 ? undefined : session.run(WRITE_FOLD, foldBind(workspaceId, folded, now)),
    finishOn(session, workspaceId, finishing),
  ]);
  return { folded, awaited, writing };
}

/**
 * Runs this process's own part of a marked attempt. Behind it the writes may wait for others' locks or for a disk, as long as the database allows:
 * what ends a worker meanwhile is not its operations. So the mark is taken back when the writes have left this process, and not with COMMIT,
 * because the workspace has to be locked.
 */
async function outlivedBy<Sent extends { writing: Promise<unknown> }>(started: StartedAttempt, send: () => Sent) {
  try {
    const sent = send();
    // Told by whoever waits for it; it may fail before.
    sent.writing.catch(() => undefined);
    await nextTurn();
    return sent;
  } finally {
    await started.outlived();
  }
}

function summarize(folded: FoldResult<QueuedOperation>) {
  const outcomes: ApplyResult['outcomes'] = {};
  const settled = folded.settled.filter(({ dependsOn }) => dependsOn === undefined);
  for (const { outcome } of settled) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  return {
    settled: settled.length,
    dependents: folded.settled.length - settled.length,
    outcomes,
    seq: folded.seq,
    lastId: folded.settled.at(-1)?.operation.queueId ?? 0,
  };
}
