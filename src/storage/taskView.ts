// How tasks are read in hand-written SQL: the columns under the code's names, and the derived sync status beside them.
import type { Task } from '../sync/task.js';

export type SyncStatus = 'synced' | 'pending' | 'error';

/** A task as readers get it; the versions of its fields are for the merge alone. */
export interface TaskView extends Omit<Task, 'fieldVersions'> {
  /** pending: operations on it wait; error: its latest operation failed; else synced. */
  syncStatus: SyncStatus;
}

/** The columns of a task row `t`, named as in Task. */
export const TASK_COLUMNS = `t.id, t.server_id AS "serverId", t.title, t.description, t.completed, t.deleted, t.stub,
  t.created_at AS "createdAt", t.updated_at AS "updatedAt", t.updated_by AS "updatedBy", t.op_id AS "opId", t.seq,
  t.last_synced_at AS "lastSyncedAt"`;

/** What a task's texts take, known without reading them. */
export const TEXT_BYTES = 'octet_length(t.title) + coalesce(octet_length(t.description), 0)';

/** A longer description is read apart from its task where many are read at once: a thousand of these are as much as an answer may be. */
const INLINE_BYTES_MAX = 4_096;

/** TASK_COLUMNS without long descriptions; how long such a one is (null where it is there) stands beside them. Says so without reading it. */
export const LIGHT_TASK_COLUMNS = TASK_COLUMNS.replace(
  't.description',
  `CASE WHEN octet_length(t.description) <= ${INLINE_BYTES_MAX} THEN t.description END AS description`,
).concat(`,
  CASE WHEN octet_length(t.description) > ${INLINE_BYTES_MAX} THEN octet_length(t.description) END AS "longBytes"`);

/** A task that was read with LIGHT_TASK_COLUMNS. */
export type LightTask = TaskView & { longBytes: number | null };

/** Belongs to TASK_COLUMNS where the task is read to be merged with. */
export const FIELD_VERSIONS_COLUMN = 't.field_versions AS "fieldVersions"';

const UNSETTLED = `FROM sync_queue q WHERE q.workspace_id = t.workspace_id AND q.task_id = t.id`;

/** Belongs behind FROM tasks t: whether any of its operations waits, or else has failed. One look into an index of what is unsettled. */
export const UNSETTLED_JOIN = `LEFT JOIN LATERAL (
    SELECT q.status ${UNSETTLED} AND q.status <> 'synced' ORDER BY q.status DESC, q.id DESC LIMIT 1
  ) unsettled ON true`;

// `status <= 'failed'` beside `<> 'synced'` is 'failed' alone, in words that sync_queue_unsettled answers and sync_queue_failed does not: PostgreSQL
// took the latter where nothing had failed yet, and would have read all that fails in the workspace for each task later.
const LAST_FAILED = `(SELECT max(q.last_attempted_at) ${UNSETTLED} AND q.status <> 'synced' AND q.status <= 'failed')`;

/**
 * The sync status where UNSETTLED_JOIN is joined. A write that was applied after the failure makes the task synced again. The cases are apart,
 * because of a null and a condition PostgreSQL evaluates both: failures were looked for in each synced task.
 */
export const SYNC_STATUS = `CASE unsettled.status WHEN 'pending' THEN 'pending'
    WHEN 'failed' THEN CASE WHEN ${LAST_FAILED} >= t.last_synced_at THEN 'error' ELSE 'synced' END
    ELSE 'synced' END`;

/** Belongs to TASK_COLUMNS where UNSETTLED_JOIN is joined. */
export const SYNC_STATUS_COLUMN = `${SYNC_STATUS} AS "syncStatus"`;
