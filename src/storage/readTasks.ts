// Reading tasks for /api/tasks: one by either of its ids, and pages by key (an offset would get slower with every page).
import type { Task } from '../sync/task.js';
import { cutBy, type Page, pageOf } from './cutPage.js';
import type { Database } from './database.js';
import { lookup, type Session } from './statement.js';
import {
  FIELD_VERSIONS_COLUMN,
  SYNC_STATUS_COLUMN,
  TASK_COLUMNS,
  type TaskView,
  TEXT_BYTES,
  UNSETTLED_JOIN,
} from './taskView.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const findBy = (column: 'id' | 'server_id') =>
  lookup(
    `find_task_by_${column}`,
    `SELECT ${TASK_COLUMNS}, ${FIELD_VERSIONS_COLUMN}, ${SYNC_STATUS_COLUMN} FROM tasks t ${UNSETTLED_JOIN}
    WHERE t.workspace_id = $1 AND t.${column} = $2 AND NOT t.stub`,
  );
// Plan: one look into tasks_pkey or tasks_server_id, and one into sync_queue_unsettled.
const BY_ID = findBy('id');
const BY_SERVER_ID = findBy('server_id');

/** Finds a task or tombstone by its id, else by its server id; a stub is neither. */
export function findTask(database: Database, workspaceId: string, id: string): Promise<(TaskView & Task) | undefined> {
  return database.pipeline((session, sendCommit) => {
    const finding = findTaskOn(session, workspaceId, id);
    sendCommit();
    return finding;
  });
}

/** The same in a transaction that is under way. */
export async function findTaskOn(
  session: Session,
  workspaceId: string,
  id: string,
): Promise<(TaskView & Task) | undefined> {
  // Both at once: a second round trip would cost more than a look that finds nothing.
  const statements = UUID.test(id) ? [BY_ID, BY_SERVER_ID] : [BY_ID];
  const found = await Promise.all(statements.map((each) => session.run<TaskView & Task>(each, [workspaceId, id])));
  return found.flat()[0];
}

/** What a list can be sorted by; a leading minus means newest first. */
export const TASK_SORTS = ['created_at', '-created_at', 'updated_at', '-updated_at'] as const;
export type TaskSort = (typeof TASK_SORTS)[number];

export interface TaskListRequest {
  workspaceId: string;
  sort: TaskSort;
  limit: number;
  /** What titles and descriptions may take together. */
  maxBytes: number;
  /** The place behind which to continue: sort value and id of the last task of the previous page. */
  after?: { sortValue: string; id: string };
  completed?: boolean;
  /** Canonical. */
  updatedSince?: string;
  includeDeleted: boolean;
}

// The parts of a workspace that the indexes of lists keep apart. A list reads at most `limit` rows of each part that it shows, so that it
// costs the same where nearly all tasks are completed, or deleted. One query over all parts passed over what it did not show: with 5 of
// 100,000 tasks to be shown it read them all, 23 ms against 0.06.
const PARTS = [true, false].flatMap((deleted) => [true, false].map((completed) => ({ deleted, completed })));

const is = (column: string, value: boolean) => (value ? column : `NOT ${column}`);

/** One page of tasks: `limit` at most, fewer where they are long, at least one. */
export async function listTasks(database: Database, request: TaskListRequest): Promise<Page<TaskView>> {
  const bind: unknown[] = [request.workspaceId, request.limit + 1, request.maxBytes];
  const bound = (value: unknown, type: string) => `$${bind.push(value)}::${type}`;
  const descending = request.sort.startsWith('-');
  const column = request.sort.endsWith('created_at') ? 't.created_at' : 't.updated_at';
  const conditions = ['t.workspace_id = $1', 'NOT t.stub'];
  if (request.updatedSince !== undefined) {
    conditions.push(`t.updated_at >= ${bound(request.updatedSince, 'timestamptz')}`);
  }
  if (request.after !== undefined) {
    const { sortValue, id } = request.after;
    const place = `(${bound(sortValue, 'timestamptz')}, ${bound(id, 'text')})`;
    conditions.push(`(${column}, t.id) ${descending ? '<' : '>'} ${place}`);
  }
  const direction = descending ? 'DESC' : 'ASC';
  const order = `ORDER BY ${column} ${direction}, t.id ${direction} LIMIT $2`;
  const shown = PARTS.filter(
    ({ deleted, completed }) =>
      (request.includeDeleted || !deleted) && (request.completed === undefined || request.completed === completed),
  );
  const parts = shown.map(({ deleted, completed }) => {
    const part = [...conditions, is('t.deleted', deleted), is('t.completed', completed)];
    return `(SELECT t.* FROM tasks t WHERE ${part.join(' AND ')} ${order})`;
  });
  const rows = await database.select<TaskView & { found: number }>(
    `SELECT ${TASK_COLUMNS}, ${SYNC_STATUS_COLUMN}, t.found FROM (
       SELECT t.*, ${cutBy(TEXT_BYTES, `${column} ${direction}, t.id ${direction}`)}
       FROM (SELECT * FROM (${parts.join(' UNION ALL ')}) t ${order}) t
     ) t ${UNSETTLED_JOIN} WHERE t.number < $2 AND (t.number = 1 OR t.bytes <= $3) ORDER BY t.number`,
    bind,
  );
  return pageOf(rows);
}
