// Reading a workspace's pending operations together with the tasks they name.
import type { OperationKind } from '../sync/merge.js';
import { fieldsOf } from '../sync/operation.js';
import type { FieldVersions, Task } from '../sync/task.js';
import { parseTimestamp } from '../sync/timestamp.js';
import { lookup } from './statement.js';
import type { QueuedOperation } from './writeFold.js';

export interface PendingRow {
  queueId: number;
  batchId: string | null;
  position: number;
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
  /** As the device wrote it; null where it wrote none. */
  writtenAt: string | null;
  /** Its client's earlier operations on the task, applied and failed ones, that are not older: effective and written time. */
  appliedBefore: [updatedAt: string, writtenAt: string | null][] | null;
  failedBefore: [updatedAt: string, writtenAt: string | null][] | null;
  ifSeq: number | null;
  waitedS: number;
  /** Whether it has waited suspiciously long; null where nobody asked. */
  isOld: boolean | null;
  /** Where its task is not there: the create of it before this one that has failed; else null. */
  failedCreateId: number | null;
  /** For a create of a new task: whether its id is another task's server_id; else null. */
  isIdTaken: true | null;
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

const ANY_FAILED = `SELECT f.id FROM sync_queue f WHERE f.workspace_id = $1 AND f.status = 'failed' ORDER BY f.id LIMIT 1`;

/** A client's tied operations are looked for among so many operations on the task, and among as many failed ones. */
const LOOK_BACK = 200;

const FAILED_CREATE = `SELECT f.id FROM sync_queue f WHERE f.workspace_id = $1 AND f.task_id = q.task_id AND f.status = 'failed'
    AND f.operation = 'create' AND f.id < q.id ORDER BY f.id LIMIT 1`;

/** Cut, because a fraction may have as many digits as a request has room for; what a time needs stands in front. */
const writtenAt = (row: string) => `left(${row}.task_data->>'updated_at', 64)`;

const TIMES = `jsonb_agg(jsonb_build_array(b.updated_at, ${writtenAt('b')}))`;
const OWN_NOT_OLDER = 'b.client_id = q.client_id AND b.updated_at >= q.updated_at';

// Asked only where the task is not older than the operation: what its client had applied before is never newer than the task.
const APPLIED_BEFORE = `SELECT ${TIMES} FROM (
    SELECT * FROM sync_queue b WHERE b.workspace_id = $1 AND b.task_id = q.task_id AND b.id < q.id ORDER BY b.id DESC LIMIT ${LOOK_BACK}
  ) b WHERE ${OWN_NOT_OLDER} AND b.status = 'synced' AND b.outcome <> 'not_found' AND b.outcome_code IS NULL`;

// Tried again later it keeps its time, and with it its place. In words that sync_queue_unsettled answers and sync_queue_failed does not: see
// LAST_FAILED in taskView.ts.
const FAILED_BEFORE = `SELECT ${TIMES} FROM (
    SELECT * FROM sync_queue b WHERE b.workspace_id = $1 AND b.task_id = q.task_id AND b.status <> 'synced' AND b.status <= 'failed'
      AND b.id < q.id ORDER BY b.status DESC, b.id DESC LIMIT ${LOOK_BACK}
  ) b WHERE ${OWN_NOT_OLDER}`;

// As PostgreSQL reads a UUID that GET /api/tasks/:id takes for a server_id: in any case of its letters.
const UUID = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
const OTHER_TASK = 'SELECT true FROM tasks o WHERE o.workspace_id = $1 AND o.server_id = q.task_id::uuid LIMIT 1';

// A statement of its own after the lock: its snapshot must be younger than the lock, or it would see operations as pending that
// the lock's previous holder has just settled. Of the data only the fields that are used: what an app put beside them may be a
// megabyte an operation, and 500 of those do not fit into a worker.
// While an operation on a task waits for its next attempt the others on that task wait with it (I5). The tasks are hashed, because 50,000
// operations may stand behind one that is put off; the order is one that only sync_queue_put_off has. Whether anything has failed is asked once,
// and only then what its client had failed with before.
// Plan: all of sync_queue_put_off, the first of sync_queue_failed, sync_queue_pending in its order up to the limit, one look into tasks_pkey a row,
// where that finds no task one into sync_queue_failed_creates, and one into tasks_server_id for a create of a new task under a UUID.
// Prepared while the log was short it walked the whole log by its primary key later (224 ms instead of 0.5): see `lookup`.
export const READ_PENDING = lookup(
  'read_pending',
  `SELECT q.id AS "queueId", q.batch_id AS "batchId", q.position, q.client_id AS "clientId", q.op_id AS "opId", q.task_id AS "taskId",
  q.operation AS kind, q.task_data->'title' AS title, q.task_data->'description' AS description, q.task_data->'completed' AS completed,
  jsonb_exists(q.task_data, 'description') AS "givesDescription", q.updated_at AS "updatedAt", ${writtenAt('q')} AS "writtenAt",
  q.if_seq AS "ifSeq",
  t.id AS "tId", t.server_id AS "tServerId", t.title AS "tTitle", t.description AS "tDescription", t.completed AS "tCompleted",
  t.deleted AS "tDeleted", t.stub AS "tStub", t.created_at AS "tCreatedAt", t.updated_at AS "tUpdatedAt", t.updated_by AS "tUpdatedBy",
  t.op_id AS "tOpId", t.seq AS "tSeq", t.last_synced_at AS "tLastSyncedAt", t.field_versions AS "tFieldVersions",
  CASE WHEN q.operation <> 'create' AND (t.id IS NULL OR t.stub) THEN (${FAILED_CREATE}) END AS "failedCreateId",
  CASE WHEN q.operation = 'create' AND t.id IS NULL AND q.task_id ~* '${UUID}' THEN (${OTHER_TASK}) END AS "isIdTaken",
  CASE WHEN t.updated_at >= q.updated_at THEN (${APPLIED_BEFORE}) END AS "appliedBefore",
  CASE WHEN (t.id IS NOT NULL OR q.operation = 'create') AND (${ANY_FAILED}) IS NOT NULL THEN (${FAILED_BEFORE}) END AS "failedBefore",
  extract(epoch FROM $3::timestamptz - q.created_at)::float8 AS "waitedS", q.created_at <= $5::timestamptz AS "isOld"
FROM (
  SELECT * FROM sync_queue
  WHERE workspace_id = $1 AND status = 'pending' AND id <= $2 AND (next_attempt_at IS NULL OR next_attempt_at <= $3::timestamptz)
    AND task_id NOT IN (
      SELECT p.task_id FROM sync_queue p WHERE p.workspace_id = $1 AND p.next_attempt_at > $3::timestamptz ORDER BY p.task_id, p.next_attempt_at)
  ORDER BY id LIMIT $4
) q LEFT JOIN LATERAL (SELECT * FROM tasks WHERE workspace_id = $1 AND id = q.task_id LIMIT 1) t ON true
ORDER BY q.id`,
);

/** The tasks in the rows, each once. */
export function tasksOf(rows: PendingRow[]): Map<string, Task> {
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

/** The operation that a row stands for. */
export function operationOf(row: PendingRow): QueuedOperation {
  const { title, completed } = row;
  const description = row.givesDescription ? row.description : undefined;
  const operation: QueuedOperation = {
    queueId: row.queueId,
    clientId: row.clientId,
    opId: row.opId,
    taskId: row.taskId,
    kind: row.kind,
    fields: fieldsOf({ title, description, completed }),
    updatedAt: row.updatedAt,
    writtenAt: row.writtenAt,
  };
  if (row.appliedBefore !== null || row.failedBefore !== null) {
    const before = [...(row.appliedBefore ?? []), ...(row.failedBefore ?? [])];
    operation.sentBefore = before.map(([updatedAt, writtenAt]) => ({
      // PostgreSQL's JSON has its own form of a time.
      updatedAt: parseTimestamp(updatedAt) ?? '',
      writtenAt,
    }));
  }
  if (row.ifSeq !== null) operation.ifSeq = row.ifSeq;
  if (row.isIdTaken === true) operation.isIdTaken = true;
  if (row.failedCreateId !== null) operation.failedCreateId = row.failedCreateId;
  return operation;
}
