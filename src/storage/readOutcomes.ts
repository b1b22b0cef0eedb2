// What became of operations, as the answers to batches need it: their states and the tasks they name, in one statement. Requests that are
// woken together share it.
import type { Database } from './database.js';
import { type OperationState, STATE_COLUMNS, TASK_VIEWS } from './readBatch.js';
import { FEED_HEAD } from './readChanges.js';
import { lookup } from './statement.js';
import { SYNC_STATUS_COLUMN, TASK_COLUMNS, type TaskView, UNSETTLED_JOIN } from './taskView.js';

export interface OperationKey {
  clientId: string;
  opId: string;
}

/** A key as one text; ids have no control characters. */
export function operationKey({ clientId, opId }: OperationKey): string {
  return `${clientId}\n${opId}`;
}

export interface Outcomes {
  /** By operationKey; a key that is not known is absent. */
  operations: ReadonlyMap<string, OperationState>;
  /** The tasks and tombstones that the operations name, and those that were asked for, by id, as the server now has them; stubs are none. */
  tasks: ReadonlyMap<string, TaskView>;
  /** See FeedHead. */
  incarnation: string;
}

// Plan: the workspace's row once, and for each key one look into sync_queue_operation, tasks_pkey and sync_queue_unsettled. LIMIT 1 keeps the
// planner from joining the keys to the whole log where it has no statistics (20 ms for 50 keys among 50,000 rows). The arrays are selected: one
// that the planner can count makes a plan for few keys look cheaper than the kept one, and it planned each time, 0.4 ms for one operation.
// Two columns are called opId: the task's is renamed.
export const OUTCOMES = lookup(
  'read_outcomes',
  `WITH head AS MATERIALIZED (${FEED_HEAD})
SELECT h.incarnation, q.*, t.id AS "foundId", t."serverId", t.title, t.description, t.completed, t.deleted, t.stub, t."createdAt",
  t."updatedAt", t."updatedBy", t."lastOpId", t.seq, t."lastSyncedAt", t."syncStatus"
FROM head h LEFT JOIN (
  unnest((SELECT $2::text[]), (SELECT $3::text[])) AS k("clientId", "opId")
  CROSS JOIN LATERAL (
    SELECT ${STATE_COLUMNS} FROM sync_queue q
    WHERE q.workspace_id = $1 AND q.client_id = k."clientId" AND q.op_id = k."opId" LIMIT 1
  ) q
  LEFT JOIN LATERAL (
    SELECT ${TASK_COLUMNS.replace('"opId"', '"lastOpId"')}, ${SYNC_STATUS_COLUMN}
    FROM (SELECT * FROM tasks WHERE workspace_id = $1 AND id = q."taskId" LIMIT 1) t ${UNSETTLED_JOIN}
    WHERE NOT t.stub
  ) t ON true
) ON true`,
);

type FoundRow = OperationState & Omit<TaskView, 'id' | 'opId'> & { foundId: string | null; lastOpId: string };
/** Where no key is known there is one row, of the incarnation alone. */
type OutcomeRow = { incarnation: string } & (FoundRow | { id: null });

/**
 * Reads the outcomes of operations by their keys.
 * @param taskIds tasks that no operation names: a second statement on the same way to the server, which is not sent where there are none
 * @throws an Error for a workspace that does not exist
 */
export function readOutcomes(
  database: Database,
  workspaceId: string,
  keys: OperationKey[],
  taskIds: string[] = [],
): Promise<Outcomes> {
  return database.pipeline(async (session, sendCommit) => {
    const clientIds = keys.map(({ clientId }) => clientId);
    const opIds = keys.map(({ opId }) => opId);
    const reading = session.run<OutcomeRow>(OUTCOMES, [workspaceId, clientIds, opIds]);
    const readingTasks =
      taskIds.length === 0 ? [] : session.run<TaskView>(TASK_VIEWS, [workspaceId, [...new Set(taskIds)]]);
    sendCommit();
    const [rows, views] = await Promise.all([reading, readingTasks]);
    const [first] = rows;
    if (first === undefined) throw new Error(`workspace ${workspaceId} does not exist`);
    const operations = new Map<string, OperationState>();
    const tasks = new Map<string, TaskView>();
    for (const row of rows) {
      if (row.id === null) continue;
      operations.set(operationKey(row), row);
      if (row.foundId !== null && !tasks.has(row.foundId)) tasks.set(row.foundId, taskOf(row, row.foundId));
    }
    // One task is shown in one state, also where it was written between the two statements.
    for (const view of views) if (!tasks.has(view.id)) tasks.set(view.id, view);
    return { operations, tasks, incarnation: first.incarnation };
  });
}

function taskOf(row: FoundRow, id: string): TaskView {
  return {
    id,
    serverId: row.serverId,
    title: row.title,
    description: row.description,
    completed: row.completed,
    deleted: row.deleted,
    stub: row.stub,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    updatedBy: row.updatedBy,
    opId: row.lastOpId,
    seq: row.seq,
    lastSyncedAt: row.lastSyncedAt,
    syncStatus: row.syncStatus,
  };
}
