// What became of operations, as the answers to batches need it: their states and the tasks they name, in one statement. Requests that are
// woken together share it.
import type { Database } from './database.js';
import { type LongTask, readLongTasks, type UnreadTask } from './longTasks.js';
import { type OperationState, STATE_COLUMNS } from './readBatch.js';
import { FEED_HEAD } from './readChanges.js';
import { lookup, planned } from './statement.js';
import { LIGHT_TASK_COLUMNS, type LightTask, SYNC_STATUS_COLUMN, type TaskView, UNSETTLED_JOIN } from './taskView.js';

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
  /** Those of them that are there and were not read: all together are too long. */
  unread: ReadonlyMap<string, UnreadTask>;
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
  t."updatedAt", t."updatedBy", t."lastOpId", t.seq, t."lastSyncedAt", t."syncStatus", t."longBytes"
FROM head h LEFT JOIN (
  unnest((SELECT $2::text[]), (SELECT $3::text[])) AS k("clientId", "opId")
  CROSS JOIN LATERAL (
    SELECT ${STATE_COLUMNS} FROM sync_queue q
    WHERE q.workspace_id = $1 AND q.client_id = k."clientId" AND q.op_id = k."opId" LIMIT 1
  ) q
  LEFT JOIN LATERAL (
    SELECT ${LIGHT_TASK_COLUMNS.replace('"opId"', '"lastOpId"')}, ${SYNC_STATUS_COLUMN}
    FROM (SELECT * FROM tasks WHERE workspace_id = $1 AND id = q."taskId" LIMIT 1) t ${UNSETTLED_JOIN}
    WHERE NOT t.stub
  ) t ON true
) ON true`,
);

const TASKS = planned(
  `SELECT ${LIGHT_TASK_COLUMNS}, ${SYNC_STATUS_COLUMN} FROM unnest($2::text[]) AS wanted(id)
CROSS JOIN LATERAL (SELECT * FROM tasks WHERE workspace_id = $1 AND id = wanted.id LIMIT 1) t ${UNSETTLED_JOIN}
WHERE NOT t.stub`,
);

type FoundRow = OperationState & Omit<LightTask, 'id' | 'opId'> & { foundId: string | null; lastOpId: string };
/** Where no key is known there is one row, of the incarnation alone. */
type OutcomeRow = { incarnation: string } & (FoundRow | { id: null });

export interface WantedOutcomes {
  keys: OperationKey[];
  /** Tasks that no operation names. */
  taskIds?: string[];
  /** What long descriptions may take together: those of the tasks that the last keys name are read first, and `taskIds` last. */
  maxBytes: number;
}

/**
 * Reads the outcomes of operations by their keys. Two more statements may follow: for `taskIds`, on the same way to the server, and for long
 * tasks, whose lengths have to be known before; neither is sent where there is nothing to read.
 * @throws an Error for a workspace that does not exist
 */
export async function readOutcomes(
  database: Database,
  workspaceId: string,
  { keys, taskIds = [], maxBytes }: WantedOutcomes,
): Promise<Outcomes> {
  const [rows, lightTasks] = await readLight(database, workspaceId, keys, taskIds);
  const [first] = rows;
  if (first === undefined) throw new Error(`workspace ${workspaceId} does not exist`);
  const operations = new Map<string, OperationState>();
  const tasks = new Map<string, TaskView>();
  const long = new Map<string, LongTask>();
  const keep = (task: TaskView, bytes: number | null) => {
    // One task is shown in one state, also where it was written between the two statements.
    if (tasks.has(task.id) || long.has(task.id)) return;
    if (bytes === null) tasks.set(task.id, task);
    else long.set(task.id, { bytes, serverId: task.serverId, seq: task.seq });
  };
  for (const row of rows) {
    if (row.id === null) continue;
    operations.set(operationKey(row), row);
    if (row.foundId !== null) keep(taskOf(row, row.foundId), row.longBytes);
  }
  for (const { longBytes, ...task } of lightTasks) keep(task, longBytes);
  const outcomes = { operations, tasks, unread: new Map<string, UnreadTask>(long), incarnation: first.incarnation };
  if (long.size === 0) return outcomes;
  const named = keys.flatMap((key) => operations.get(operationKey(key))?.taskId ?? []);
  for (const task of await readLongTasks(database, workspaceId, long, [...taskIds, ...named], maxBytes)) {
    tasks.set(task.id, task);
    outcomes.unread.delete(task.id);
  }
  return outcomes;
}

function readLight(database: Database, workspaceId: string, keys: OperationKey[], taskIds: string[]) {
  return database.pipeline((session, sendCommit) => {
    const clientIds = keys.map(({ clientId }) => clientId);
    const opIds = keys.map(({ opId }) => opId);
    const reading = session.run<OutcomeRow>(OUTCOMES, [workspaceId, clientIds, opIds]);
    const readingTasks =
      taskIds.length === 0 ? [] : session.run<LightTask>(TASKS, [workspaceId, [...new Set(taskIds)]]);
    sendCommit();
    return Promise.all([reading, readingTasks]);
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
