// What the database holds at the end of a run, as the check reads it.
import type { OperationKind } from '../../src/sync/merge.js';
import { queryDatabase } from '../support/postgres.js';

export interface LogRow {
  id: number;
  clientId: string;
  opId: string;
  taskId: string;
  operation: OperationKind;
  data: Record<string, unknown>;
  /** Effective time, canonical. */
  updatedAt: string;
  status: 'pending' | 'synced' | 'failed';
  outcome: string | null;
  seq: number | null;
  error: string | null;
  retryCount: number;
  lostTo: string | null;
}

export interface TaskRow {
  id: string;
  title: string;
  description: string | null;
  completed: boolean;
  deleted: boolean;
  createdAt: string;
  updatedAt: string;
  updatedBy: string;
  opId: string;
  seq: number;
}

export interface State {
  log: LogRow[];
  tasks: TaskRow[];
  seq: number;
  synced: number;
  batchesUnfinished: number;
}

const time = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

const LOG = `
SELECT id::float8, client_id AS "clientId", op_id AS "opId", task_id AS "taskId", operation, task_data AS data,
  ${time('updated_at')} AS "updatedAt", status, outcome, seq::float8, error, retry_count AS "retryCount",
  CASE WHEN lost_to_op_id IS NOT NULL THEN lost_to_client_id || chr(1) || lost_to_op_id END AS "lostTo"
FROM sync_queue WHERE workspace_id = 'default' ORDER BY id`;

const TASKS = `
SELECT id, title, description, completed, deleted, ${time('created_at')} AS "createdAt", ${time('updated_at')} AS "updatedAt",
  updated_by AS "updatedBy", op_id AS "opId", seq::float8
FROM tasks WHERE workspace_id = 'default' ORDER BY seq`;

const COUNTERS = `
SELECT seq::float8, synced::float8,
  (SELECT count(*)::float8 FROM sync_batches WHERE finished_at IS NULL) AS "batchesUnfinished"
FROM workspaces WHERE id = 'default'`;

/** Reads everything of the workspace `default`. */
export async function readState(databaseUrl: string): Promise<State> {
  const log = await queryDatabase<LogRow>(databaseUrl, LOG);
  const tasks = await queryDatabase<TaskRow>(databaseUrl, TASKS);
  const [counters] = await queryDatabase<Omit<State, 'log' | 'tasks'>>(databaseUrl, COUNTERS);
  if (counters === undefined) throw new Error('the workspace `default` is gone');
  return { log, tasks, ...counters };
}

/** How many operations wait. */
export async function countPending(databaseUrl: string): Promise<number> {
  const [row] = await queryDatabase<{ count: number }>(
    databaseUrl,
    "SELECT count(*)::float8 AS count FROM sync_queue WHERE status = 'pending'",
  );
  return row?.count ?? 0;
}
