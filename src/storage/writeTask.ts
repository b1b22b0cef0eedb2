// Direct writes (the CRUD routes): the same lock, merge, log and seq as a device's operation, in one transaction of two round trips, because
// the caller waits for the answer, and the next writer for the lock. Their time is the server's, and never older than the task, so they never lose.
import { timeAfter } from '../sync/clock.js';
import { type ConflictStrategy, foldOperations, type OperationKind } from '../sync/merge.js';
import { fieldsOf } from '../sync/operation.js';
import type { Task } from '../sync/task.js';
import type { Database } from './database.js';
import { lockFeedHead } from './readChanges.js';
import { findTaskOn } from './readTasks.js';
import { prepared, type Session } from './statement.js';
import type { TaskView } from './taskView.js';
import { foldBind, type QueuedOperation, WRITE_FOLD } from './writeFold.js';

/** The client id under which direct writes are logged. */
const DIRECT_CLIENT_ID = 'server';

export interface DirectWrite {
  workspaceId: string;
  kind: OperationKind;
  /** The task's id; for an existing task its server id will do. */
  taskId: string;
  /** What to set, in the form of an operation's data. */
  data: Record<string, unknown>;
  /** Whether the task as it is, with the workspace locked, may be written this way (undefined: there is none). May throw to end the write. */
  allows: (task: Task | undefined) => boolean;
  opId: string;
  /** lww if it is not given. */
  strategy?: ConflictStrategy;
  now: () => string;
  newServerId: () => string;
}

const NEXT_ID = prepared('next_operation_id', `SELECT nextval('sync_queue_id_seq') AS id`);

const LOG = prepared(
  'log_direct_write',
  `INSERT INTO sync_queue (workspace_id, id, client_id, op_id, content_hash, task_id, operation, task_data, updated_at, max_retries, created_at)
VALUES ($1, $2, $3, $4, '', $5, $6, $7::jsonb, $8::timestamptz, 0, $9::timestamptz)`,
);

export interface WrittenTask {
  /** The task afterwards. */
  task: TaskView;
  /** The id of the write in the queue, which is its id in the log. */
  operationId: number;
  /** Of the database in which it is: part of what a cursor is made of. */
  incarnation: string;
}

/**
 * Writes one task now.
 * @returns undefined when `allows` refused it, or there is no such task to update or delete
 * @throws what `allows` throws, and the driver's errors
 */
export async function writeTask(database: Database, write: DirectWrite): Promise<WrittenTask | undefined> {
  let refusal: unknown;
  const allows = (current: Task | undefined) => {
    try {
      return write.allows(current);
    } catch (error) {
      // Thrown when the transaction has ended: one that ends in an error that is not the server's costs its connection.
      refusal = error;
      return false;
    }
  };
  const written = await database.pipeline((session, sendCommit) => writeOn(session, sendCommit, { ...write, allows }));
  if (refusal !== undefined) throw refusal;
  if (written !== undefined) database.sawOperation(written.operationId);
  return written;
}

async function writeOn(session: Session, sendCommit: () => void, write: DirectWrite) {
  const { workspaceId, data, newServerId, strategy = 'lww' } = write;
  // They go out with BEGIN; each begins when the one before it has ended, the first one when the workspace is locked.
  const [{ seq, incarnation }, current, operationId] = await Promise.all([
    lockFeedHead(session, workspaceId),
    findTaskOn(session, workspaceId, write.taskId),
    nextOperationId(session),
  ]);
  if (!write.allows(current)) return undefined;
  const now = write.now();
  const operation: QueuedOperation = {
    queueId: operationId,
    clientId: DIRECT_CLIENT_ID,
    opId: write.opId,
    taskId: current?.id ?? write.taskId,
    kind: write.kind,
    fields: fieldsOf(data),
    updatedAt: timeAfter(now, current?.updatedAt),
  };
  const tasks = new Map(current === undefined ? [] : [[current.id, current]]);
  const folded = foldOperations({ tasks, operations: [operation], seq, now, newServerId, strategy });
  const writing = Promise.all([
    session.run(LOG, logBind(workspaceId, operation, data, now)),
    session.run(WRITE_FOLD, foldBind(workspaceId, folded, now)),
    findTaskOn(session, workspaceId, operation.taskId),
  ]);
  sendCommit();
  const [, , task] = await writing;
  return task === undefined ? undefined : { task, operationId, incarnation };
}

async function nextOperationId(session: Session): Promise<number> {
  const [row] = await session.run<{ id: number }>(NEXT_ID, []);
  if (row === undefined) throw new Error('the sequence gave no id');
  return row.id;
}

function logBind(workspaceId: string, operation: QueuedOperation, data: Record<string, unknown>, now: string) {
  const { queueId, clientId, opId, taskId, kind, updatedAt } = operation;
  return [workspaceId, queueId, clientId, opId, taskId, kind, JSON.stringify(data), updatedAt, now];
}
