// Applying a workspace's pending operations: one transaction locks the workspace (I3), reads what is pending and the tasks it
// names, folds it with the pure merge, and writes tasks, outcomes and the new seq with one statement. Six round trips for up to
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
import type { Task } from '../sync/task.js';
import type { Database } from './database.js';
import { FIELD_VERSIONS_COLUMN, TASK_COLUMNS } from './taskView.js';

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
  const taken: number[] = [];
  let started: StartedAttempt | undefined;
  try {
    const applied = await database.transaction(async (transaction) => {
      const seq = await lockWorkspace(database, request.workspaceId, transaction);
      const now = request.now();
      const found = await database.select<PendingRow>(
        READ_PENDING,
        [request.workspaceId, request.upTo, now, request.limit, request.oldBefore ?? null],
        transaction,
      );
      const [first] = found;
      if (first === undefined)
        return { settled: 0, hasMore: false, wasAlone: false, outcomes: {}, seq, lastId: 0, batchIds: [] };
      taken.push(first.queueId);
      if (first.isOld === true) started = await request.markStart?.(found.map((row) => row.queueId));
      const rows = started?.isAlone === true ? [first] : found;
      taken.push(...rows.slice(1).map((row) => row.queueId));
      const folded = foldOperations({
        tasks: await readTasks(
          database,
          request.workspaceId,
          rows.map((row) => row.taskId),
          transaction,
        ),
        operations: rows.map(operationOf),
        seq,
        now,
        newServerId: request.newServerId,
        ...(request.strategy === undefined ? {} : { strategy: request.strategy }),
      });
      try {
        await writeFold(database, request.workspaceId, folded, now, transaction);
      } catch (error) {
        await started?.failed();
        throw error;
      }
      const batchIds = [...new Set(rows.flatMap((row) => row.batchId ?? []))];
      const wasAlone = started?.isAlone === true;
      const hasMore = rows.length < found.length || found.length === request.limit;
      return { ...summarize(folded), hasMore, wasAlone, batchIds };
    });
    await started?.applied();
    return applied;
  } catch (error) {
    throw new ApplyError(error, taken);
  }
}

/** Locks a workspace for the rest of the transaction; every writer of its tasks starts with this. @returns its seq. */
export async function lockWorkspace(database: Database, id: string, transaction: Transaction): Promise<number> {
  const [row] = await database.select<{ seq: number }>(
    'SELECT seq FROM workspaces WHERE id = $1 FOR NO KEY UPDATE',
    [id],
    transaction,
  );
  if (row === undefined) throw new Error(`workspace ${id} does not exist`);
  return row.seq;
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
  /** Whether it has waited suspiciously long; null where nobody asked. */
  isOld: boolean | null;
}

// A statement of its own after the lock: its snapshot must be younger than the lock, or it would see operations as pending that
// the lock's previous holder has just settled. Of the data only the fields that are used: what an app put beside them may be a
// megabyte an operation, and 500 of those do not fit into a worker.
const READ_PENDING = `
SELECT id AS "queueId", batch_id AS "batchId", client_id AS "clientId", op_id AS "opId", task_id AS "taskId", operation AS kind,
  task_data->'title' AS title, task_data->'description' AS description, task_data->'completed' AS completed,
  jsonb_exists(task_data, 'description') AS "givesDescription", updated_at AS "updatedAt", if_seq AS "ifSeq",
  created_at <= $5::timestamptz AS "isOld"
FROM sync_queue
WHERE workspace_id = $1 AND status = 'pending' AND id <= $2 AND (next_attempt_at IS NULL OR next_attempt_at <= $3::timestamptz)
ORDER BY id LIMIT $4`;

async function readTasks(database: Database, workspaceId: string, ids: string[], transaction: Transaction) {
  const tasks = await database.select<Task>(
    `SELECT ${TASK_COLUMNS}, ${FIELD_VERSIONS_COLUMN} FROM tasks t WHERE t.workspace_id = $1 AND t.id = ANY($2::text[])`,
    [workspaceId, [...new Set(ids)]],
    transaction,
  );
  return new Map(tasks.map((task) => [task.id, task]));
}

const WRITE_FOLD = `
WITH written AS (
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
    lost_to_op_id = o."lostToOpId", lost_to_updated_at = o."lostToUpdatedAt", brought_back = COALESCE(o."broughtBack", false)
  FROM jsonb_to_recordset($3::jsonb) AS o(id bigint, outcome text, seq bigint, fields jsonb, code text, "lostToClientId" text,
    "lostToOpId" text, "lostToUpdatedAt" timestamptz, "broughtBack" boolean)
  WHERE q.workspace_id = $1 AND q.id = o.id
)
UPDATE workspaces SET seq = $5, synced = synced + $6, last_synced_at = $4::timestamptz WHERE id = $1`;

/** Writes what a fold changed: tasks, outcomes of the queue's rows, the workspace's counters. */
export async function writeFold(
  database: Database,
  workspaceId: string,
  folded: FoldResult<QueuedOperation>,
  now: string,
  transaction: Transaction,
): Promise<void> {
  const settled = folded.settled.map(settledRow);
  await database.select(
    WRITE_FOLD,
    [workspaceId, JSON.stringify(folded.changed), JSON.stringify(settled), now, folded.seq, settled.length],
    transaction,
  );
}

/** What WRITE_FOLD reads of a settled operation; what is undefined is left out of its JSON and becomes NULL. */
function settledRow({ operation, lostTo, ...settled }: Settled<QueuedOperation>) {
  return {
    ...settled,
    id: operation.queueId,
    lostToClientId: lostTo?.clientId,
    lostToOpId: lostTo?.opId,
    lostToUpdatedAt: lostTo?.updatedAt,
  };
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
