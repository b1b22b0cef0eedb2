// Tasks with long descriptions, where many tasks are read for one answer: read apart, and only as many as fit (I8).
import type { Database } from './database.js';
import { planned } from './statement.js';
import { SYNC_STATUS_COLUMN, TASK_COLUMNS, type TaskView, UNSETTLED_JOIN } from './taskView.js';

/** A task that was found and is too long to be read along with others. */
export interface LongTask extends Pick<TaskView, 'serverId' | 'seq'> {
  /** Of its description. */
  bytes: number;
}

/** What is known of a task that was not read because it did not fit. */
export type UnreadTask = Pick<TaskView, 'serverId' | 'seq'>;

// One that became longer since its length was read is left out. Plan: a function scan, one look into tasks_pkey and sync_queue_unsettled each.
const LONG_TASKS = planned(
  `SELECT ${TASK_COLUMNS}, ${SYNC_STATUS_COLUMN} FROM unnest($2::text[], $3::int[]) AS wanted(id, bytes)
CROSS JOIN LATERAL (SELECT * FROM tasks WHERE workspace_id = $1 AND id = wanted.id LIMIT 1) t ${UNSETTLED_JOIN}
WHERE NOT t.stub AND coalesce(octet_length(t.description), 0) <= wanted.bytes`,
);

/**
 * Reads long tasks: of those that are wanted most as many as fit, at least one.
 * @param wanted their ids, the most wanted ones last
 */
export function readLongTasks(
  database: Database,
  workspaceId: string,
  long: ReadonlyMap<string, LongTask>,
  wanted: readonly string[],
  maxBytes: number,
): Promise<TaskView[]> {
  const chosen = new Map<string, number>();
  let bytes = 0;
  for (const id of [...wanted].reverse()) {
    const task = long.get(id);
    if (task === undefined || chosen.has(id)) continue;
    if (chosen.size > 0 && bytes + task.bytes > maxBytes) break;
    chosen.set(id, task.bytes);
    bytes += task.bytes;
  }
  return database.run<TaskView>(LONG_TASKS, [workspaceId, [...chosen.keys()], [...chosen.values()]]);
}
