// The queue as its users see it: counts, pages of items, and putting pending and failed items back in line.
import { Op } from 'sequelize';
import { releaseTasks } from './changeFailed.js';
import type { Page } from './cutPage.js';
import type { Database } from './database.js';
import { lockWorkspace } from './lockWorkspace.js';
import { type QueueStatus, SyncQueueItem } from './models/syncQueueItem.js';

export interface QueueCounts {
  pending: number;
  failed: number;
  synced: number;
  /** Canonical; null before the first operation. */
  lastSyncedAt: string | null;
  oldestPendingAt: string | null;
}

const COUNTS = `
SELECT w.synced, w.last_synced_at AS "lastSyncedAt",
  (SELECT count(*) FROM sync_queue WHERE workspace_id = $1 AND status = 'pending') AS pending,
  (SELECT count(*) FROM sync_queue WHERE workspace_id = $1 AND status = 'failed') AS failed,
  (SELECT created_at FROM sync_queue WHERE workspace_id = $1 AND status = 'pending' ORDER BY id LIMIT 1) AS "oldestPendingAt"
FROM workspaces w WHERE w.id = $1`;

/** Counts of a workspace's operations; cheap however long the log is, because only the small partial indexes are counted. */
export async function countQueue(database: Database, workspaceId: string): Promise<QueueCounts> {
  const [counts] = await database.select<QueueCounts>(COUNTS, [workspaceId]);
  return counts ?? { pending: 0, failed: 0, synced: 0, lastSyncedAt: null, oldestPendingAt: null };
}

const PAGE_SIZES = `
SELECT sum(octet_length(task_data::text)) OVER (ORDER BY id) AS bytes FROM (
  SELECT id, task_data FROM sync_queue WHERE workspace_id = $1 AND status = $2 AND id > $3 ORDER BY id LIMIT $4
) page`;

export interface QueueRequest {
  workspaceId: string;
  status: QueueStatus;
  /** Only what was accepted behind this operation. */
  afterId: number;
  limit: number;
  /** What the data of the items, as received, may take together. */
  maxBytes: number;
}

/** One page of items of a status, oldest first: `limit` at most, fewer where they are large, at least one. */
export async function listQueue(
  database: Database,
  { workspaceId, status, afterId, limit, maxBytes }: QueueRequest,
): Promise<Page<SyncQueueItem>> {
  const sizes = await database.select<{ bytes: number }>(PAGE_SIZES, [workspaceId, status, afterId, limit + 1]);
  const fitting = sizes.filter(({ bytes }, index) => index < limit && (index === 0 || bytes <= maxBytes)).length;
  const rows = await database.sequelize.getRepository(SyncQueueItem).findAll({
    where: { workspaceId, status, id: { [Op.gt]: afterId } },
    order: [['id', 'ASC']],
    limit: fitting,
    raw: true,
  });
  return { rows, hasMore: sizes.length > fitting };
}

const REQUEUE = `
WITH chosen AS (
  (SELECT id FROM sync_queue WHERE workspace_id = $1 AND status = 'pending' ORDER BY id LIMIT $2)
  UNION ALL
  (SELECT id FROM sync_queue WHERE workspace_id = $1 AND status = 'failed' ORDER BY id LIMIT $2)
  ORDER BY id LIMIT $2
)
UPDATE sync_queue q SET status = 'pending', next_attempt_at = NULL,
  retry_count = CASE WHEN q.status = 'failed' THEN 0 ELSE q.retry_count END,
  error = CASE WHEN q.status = 'failed' THEN NULL ELSE q.error END, outcome_code = NULL
FROM chosen WHERE q.workspace_id = $1 AND q.id = chosen.id RETURNING q.id, q.task_id AS "taskId"`;

export interface Requeued {
  /** The chosen ones, oldest first. */
  ids: number[];
  /** What became due with them on their tasks and was not chosen, oldest first: else those that come later would overtake it. */
  released: number[];
}

/**
 * Makes the oldest `limit` pending and failed items due now; failed ones get fresh retries.
 * Locks the workspace, because the applying transaction updates the same rows and the two would deadlock.
 */
export function requeue(database: Database, workspaceId: string, limit: number): Promise<Requeued> {
  return database.transaction(async (transaction) => {
    await lockWorkspace(database, workspaceId, transaction);
    const rows = await database.select<{ id: number; taskId: string }>(REQUEUE, [workspaceId, limit], transaction);
    const taskIds = [...new Set(rows.map((row) => row.taskId))];
    const released = await releaseTasks(database, workspaceId, taskIds, transaction);
    return { ids: rows.map((row) => row.id).sort((a, b) => a - b), released };
  });
}
