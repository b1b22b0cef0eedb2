// Applying a workspace's pending operations: one transaction locks the workspace (I3), reads what is pending and the tasks it
// names, folds it with the pure merge, and writes tasks, outcomes and the new seq with one statement. Two round trips for up to
// SYNC_TRANSACTION_SIZE operations; a statement for each operation was measured at six times the cost (143 against 25 us).
import type { Transaction } from 'sequelize';
import type {
  AcceptedOperation,
  ConflictStrategy,
  FoldResult,
  OperationKind,
  Outcome,
  Settled,
} from '../sync/merge.js';
import { foldOperations } from '../sync/merge.js';
import { fieldsOf } from '../sync/operation.js';
import type { FieldVersions, Task } from '../sync/task.js';
import type { Database } from './database.js';
import { type BatchPart, type BatchPartState, FINISH, finishBind } from './finishBatches.js';
import { BY_KEYS_ONLY, planned, prepared, type Session } from './statement.js';

/** An accepted operation with its place in the queue. */
export interface QueuedOperation extends AcceptedOperation {
  queueId: number;
}

export interface ApplyRequest {
  workspaceId: string;
  /** The last operation id to apply. */
  upTo: number;
  /** At most this many operations. */
  limit: number;
  /** The parts of batches whose state is asked for. */
  parts?: BatchPart[];
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
  /** Called before the rollback, while the workspace is locked. */
  failed(): Promise<void>;
  /** Called after the commit. */
  applied(): Promise<void>;
}

export interface ApplyResult {
  /** How many operations were settled. */
  settled: number;
  /** False: nothing is left that is due. */
  hasMore: boolean;
  /** One operation was tried alone because an earlier attempt did not end; others of that attempt may follow. */
  wasAlone: boolean;
  outcomes: Partial<Record<Outcome, number>>;
  /** The workspace's seq afterwards. */
  seq: number;
  /** The highest operation id that was settled, 0 when there was none. */
  lastId: number;
  /** The batches that they came with. */
  batchIds: string[];
  /** How long each had waited since it was accepted, in seconds. */
  waitedS: number[];
  /** Where the request's parts of batches stand afterwards. */
  states: BatchPartState[];
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
 * Applies up to `limit` due operations in the order of acceptance. Operations that wait for their next attempt are left out.
 * @throws ApplyError; nothing was changed then
 */
export async function applyPending(database: Database, request: ApplyRequest): Promise<ApplyResult> {
  const attempt: Attempt = { taken: [] };
  try {
    const applied = await database.pipeline((session, sendCommit) => applyOn(session, sendCommit, request, attempt));
    await attempt.started?.applied();
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

async function applyOn(session: Session, sendCommit: () => void, request: ApplyRequest, attempt: Attempt) {
  const { workspaceId, upTo, limit, parts = [], newServerId, strategy = 'lww' } = request;
  // Both go out with BEGIN; each begins when the one before it has ended.
  const [[workspace], found] = await Promise.all([
    session.run<{ seq: number }>(LOCK, [workspaceId]),
    session.run<PendingRow>(READ_PENDING, [workspaceId, upTo, request.now(), limit, request.oldBefore ?? null]),
  ]);
  const { seq } = requireWorkspace(workspace, workspaceId);
  const rows = await start(found, request, attempt);
  const now = request.now();
  const operations = rows.map(operationOf);
  const folded = foldOperations({ tasks: tasksOf(rows), operations, seq, now, newServerId, strategy });
  const writing = Promise.all([
    rows.length === 0 ? undefined : session.run(WRITE_FOLD, foldBind(workspaceId, folded, now)),
    session.run<BatchPartState>(FINISH, finishBind(workspaceId, upTo, parts, now)),
  ]);
  const { started } = attempt;
  if (started === undefined) sendCommit();
  const [, states] = await (started === undefined ? writing : endingWith(started, writing));
  const batchIds = [...new Set(rows.flatMap((row) => row.batchId ?? []))];
  const wasAlone = started?.isAlone === true;
  const hasMore = rows.length < found.length || found.length === limit;
  return { ...summarize(folded), hasMore, wasAlone, batchIds, waitedS: rows.map((row) => row.waitedS), states };
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

/** Not together with COMMIT: a mark is taken back while the workspace is still locked. */
async function endingWith<Result>(started: StartedAttempt, writing: Promise<Result>): Promise<Result> {
  try {
    return await writing;
  } catch (error) {
    await started.failed();
    throw error;
  }
}

const LOCK = prepared('lock_workspace', 'SELECT seq FROM workspaces WHERE id = $1 FOR NO KEY UPDATE');

// The transactions of Sequelize do not begin with the settings of BEGIN in database.ts; they get them here.
const LOCK_ALONE = planned(`SELECT seq, ${BY_KEYS_ONLY} FROM workspaces WHERE id = $1 FOR NO KEY UPDATE`);

/** Locks a workspace for the rest of the transaction; every writer of its tasks starts with this. @returns its seq. */
export async function lockWorkspace(database: Database, id: string, transaction: Transaction): Promise<number> {
  const [row] = await database.run<{ seq: number }>(LOCK_ALONE, [id], transaction);
  return requireWorkspace(row, id).seq;
}

function requireWorkspace<Row>(row: Row | undefined, id: string): Row {
  if (row === undefined) throw new Error(`workspace ${id} does not exist`);
  return row;
}

interface PendingRow {
  queueId: number;
  batchId: string | null;
  clientId: string;
  opId: string;
  taskId: string;
  kind: OperationKind;
  title: unknown;
  description: unknown;
  completed: unknown;
  /** Whether a null description was given, or none. */
  givesDescription: boolean;
  updatedAt: string;
  ifSeq: number | null;
  waitedS: number;
  /** Whether it has waited suspiciously long; null where nobody asked. */
  isOld: boolean | null;
  /** The task as it is, column by column; null where there is none. */
  tId: string | null;
  tServerId: string;
  tTitle: string;
  tDescription: string | null;
  tCompleted: boolean;
  tDeleted: boolean;
  tStub: boolean;
  tCreatedAt: string;
  tUpdatedAt: string;
  tUpdatedBy: string;
  tOpId: string;
  tSeq: number;
  tLastSyncedAt: string;
  tFieldVersions: FieldVersions | null;
}

// A statement of its own after the lock: its snapshot must be younger than the lock, or it would see operations as pending that
// the lock's previous holder has just settled. Of the data only the fields that are used: what an app put beside them may be a
// megabyte an operation, and 500 of those do not fit into a worker.
// Plan: sync_queue_pending in its order up to the limit, one look into tasks_pkey a row.
// Planned each time: prepared while the log was short it walked the whole log by its primary key later (224 ms instead of 0.5).
const READ_PENDING = planned(
  `SELECT q.id AS "queueId", q.batch_id AS "batchId", q.client_id AS "clientId", q.op_id AS "opId", q.task_id AS "taskId",
  q.operation AS kind, q.task_data->'title' AS title, q.task_data->'description' AS description, q.task_data->'completed' AS completed,
  jsonb_exists(q.task_data, 'description') AS "givesDescription", q.updated_at AS "updatedAt", q.if_seq AS "ifSeq",
  t.id AS "tId", t.server_id AS "tServerId", t.title AS "tTitle", t.description AS "tDescription", t.completed AS "tCompleted",
  t.deleted AS "tDeleted", t.stub AS "tStub", t.created_at AS "tCreatedAt", t.updated_at AS "tUpdatedAt", t.updated_by AS "tUpdatedBy",
  t.op_id AS "tOpId", t.seq AS "tSeq", t.last_synced_at AS "tLastSyncedAt", t.field_versions AS "tFieldVersions",
  extract(epoch FROM $3::timestamptz - q.created_at)::float8 AS "waitedS", q.created_at <= $5::timestamptz AS "isOld"
FROM (
  SELECT * FROM sync_queue
  WHERE workspace_id = $1 AND status = 'pending' AND id <= $2 AND (next_attempt_at IS NULL OR next_attempt_at <= $3::timestamptz)
  ORDER BY id LIMIT $4
) q LEFT JOIN LATERAL (SELECT * FROM tasks WHERE workspace_id = $1 AND id = q.task_id LIMIT 1) t ON true
ORDER BY q.id`,
);

// `w` is the workspace, in every record: compared with $1 the planner would join by what it believes about the size of the workspace;
// compared with a column it looks each row up. Plan: two function scans, one look into sync_queue_pkey a row, inserts by tasks_pkey.
const WRITE_FOLD = planned(
  `WITH written AS (
  INSERT INTO tasks (workspace_id, id, server_id, title, description, completed, deleted, created_at, updated_at, updated_by, op_id,
    seq, last_synced_at, field_versions)
  SELECT $1, id, "serverId", title, description, completed, deleted, "createdAt", "updatedAt", "updatedBy", "opId", seq, "lastSyncedAt",
    "fieldVersions"
  FROM jsonb_to_recordset($2::jsonb) AS t(id text, "serverId" uuid, title text, description text, completed boolean, deleted boolean,
    "createdAt" timestamptz, "updatedAt" timestamptz, "updatedBy" text, "opId" text, seq bigint, "lastSyncedAt" timestamptz,
    "fieldVersions" jsonb)
  ON CONFLICT (workspace_id, id) DO UPDATE SET title = excluded.title, description = excluded.description,
    completed = excluded.completed, deleted = excluded.deleted, stub = false, created_at = excluded.created_at,
    updated_at = excluded.updated_at, updated_by = excluded.updated_by, op_id = excluded.op_id, seq = excluded.seq, last_synced_at = excluded.last_synced_at,
    field_versions = excluded.field_versions
), settled AS (
  UPDATE sync_queue q SET status = 'synced', outcome = o.outcome, seq = o.seq, error = NULL, last_attempted_at = $4::timestamptz,
    next_attempt_at = NULL, field_outcomes = o.fields, outcome_code = o.code, lost_to_client_id = o."lostToClientId",
    lost_to_op_id = o."lostToOpId", lost_to_updated_at = o."lostToUpdatedAt", field_winners = o."fieldWinners",
    brought_back = COALESCE(o."broughtBack", false)
  FROM jsonb_to_recordset($3::jsonb) AS o(w text, id bigint, outcome text, seq bigint, fields jsonb, code text, "lostToClientId" text,
    "lostToOpId" text, "lostToUpdatedAt" timestamptz, "fieldWinners" jsonb, "broughtBack" boolean)
  WHERE q.workspace_id = o.w AND q.id = o.id
)
UPDATE workspaces SET seq = $5, synced = synced + $6, last_synced_at = $4::timestamptz WHERE id = $1`,
);

/** Writes what a fold changed: tasks, outcomes of the queue's rows, the workspace's counters. */
export async function writeFold(
  database: Database,
  workspaceId: string,
  folded: FoldResult<QueuedOperation>,
  now: string,
  transaction: Transaction,
): Promise<void> {
  await database.run(WRITE_FOLD, foldBind(workspaceId, folded, now), transaction);
}

function foldBind(workspaceId: string, folded: FoldResult<QueuedOperation>, now: string): unknown[] {
  const settled = folded.settled.map((each) => settledRow(workspaceId, each));
  return [workspaceId, JSON.stringify(folded.changed), JSON.stringify(settled), now, folded.seq, settled.length];
}

/** What WRITE_FOLD reads of a settled operation; what is undefined is left out of its JSON and becomes NULL. */
function settledRow(
  w: string,
  { operation, outcome, seq, fields, code, lostTo, fieldWinners, broughtBack }: Settled<QueuedOperation>,
) {
  return {
    w,
    id: operation.queueId,
    outcome,
    seq,
    fields,
    code,
    fieldWinners,
    broughtBack,
    lostToClientId: lostTo?.clientId,
    lostToOpId: lostTo?.opId,
    lostToUpdatedAt: lostTo?.updatedAt,
  };
}

/** The tasks in the rows, each once. */
function tasksOf(rows: PendingRow[]): Map<string, Task> {
  const tasks = new Map<string, Task>();
  for (const row of rows) {
    if (row.tId === null || tasks.has(row.tId)) continue;
    tasks.set(row.tId, {
      id: row.tId,
      serverId: row.tServerId,
      title: row.tTitle,
      description: row.tDescription,
      completed: row.tCompleted,
      deleted: row.tDeleted,
      stub: row.tStub,
      createdAt: row.tCreatedAt,
      updatedAt: row.tUpdatedAt,
      updatedBy: row.tUpdatedBy,
      opId: row.tOpId,
      seq: row.tSeq,
      lastSyncedAt: row.tLastSyncedAt,
      fieldVersions: row.tFieldVersions,
    });
  }
  return tasks;
}

function operationOf(row: PendingRow): QueuedOperation {
  const { title, completed } = row;
  const description = row.givesDescription ? row.description : undefined;
  return {
    queueId: row.queueId,
    clientId: row.clientId,
    opId: row.opId,
    taskId: row.taskId,
    kind: row.kind,
    fields: fieldsOf({ title, description, completed }),
    updatedAt: row.updatedAt,
    ...(row.ifSeq === null ? {} : { ifSeq: row.ifSeq }),
  };
}

function summarize(folded: FoldResult<QueuedOperation>) {
  const outcomes: ApplyResult['outcomes'] = {};
  for (const { outcome } of folded.settled) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  return {
    settled: folded.settled.length,
    outcomes,
    seq: folded.seq,
    lastId: folded.settled.at(-1)?.operation.queueId ?? 0,
  };
}
