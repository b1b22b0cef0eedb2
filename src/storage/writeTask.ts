// Direct writes (the CRUD routes): the same lock, merge, log and seq as a device's operation, in one transaction, because the caller
// waits for the answer. Their time is the server's, and never older than the task, so they never lose.
import { timeAfter } from '../sync/clock.js';
import { type ConflictStrategy, foldOperations, type OperationKind } from '../sync/merge.js';
import { fieldsOf } from '../sync/operation.js';
import type { Task } from '../sync/task.js';
import type { Database } from './database.js';
import { lockFeedHead } from './readChanges.js';
import { findTask } from './readTasks.js';
import type { TaskView } from './taskView.js';
import { type QueuedOperation, writeFold } from './writeFold.js';

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

const LOG = `
INSERT INTO sync_queue (workspace_id, client_id, op_id, content_hash, task_id, operation, task_data, updated_at, max_retries, created_at)
VALUES ($1, $2, $3, '', $4, $5, $6::jsonb, $7::timestamptz, 0, $8::timestamptz)
RETURNING id`;

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
export function writeTask(database: Database, write: DirectWrite): Promise<WrittenTask | undefined> {
  return database.transaction(async (transaction) => {
    const { seq, incarnation } = await lockFeedHead(database, write.workspaceId, transaction);
    const current = await findTask(database, write.workspaceId, write.taskId, transaction);
    if (!write.allows(current)) return undefined;
    const now = write.now();
    const taskId = current?.id ?? write.taskId;
    const updatedAt = timeAfter(now, current?.updatedAt);
    const [logged] = await database.select<{ id: number }>(
      LOG,
      [write.workspaceId, DIRECT_CLIENT_ID, write.opId, taskId, write.kind, JSON.stringify(write.data), updatedAt, now],
      transaction,
    );
    const operation: QueuedOperation = {
      queueId: logged?.id ?? 0,
      clientId: DIRECT_CLIENT_ID,
      opId: write.opId,
      taskId,
      kind: write.kind,
      fields: fieldsOf(write.data),
      updatedAt,
    };
    const tasks = new Map(current === undefined ? [] : [[current.id, current]]);
    const { newServerId, strategy = 'lww' } = write;
    const folded = foldOperations({ tasks, operations: [operation], seq, now, newServerId, strategy });
    await writeFold(database, write.workspaceId, folded, now, transaction);
    const task = await findTask(database, write.workspaceId, taskId, transaction);
    return task === undefined ? undefined : { task, operationId: operation.queueId, incarnation };
  });
}
