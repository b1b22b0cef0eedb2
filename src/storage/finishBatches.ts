// What follows an apply: batches that are settled get their finishing time, and jobs learn whether something of their batch still
// waits or has failed. One statement for all jobs that shared a group commit, in the transaction that applied them.
import { lookup } from './statement.js';

/** What one job stands for: a batch's operations between two ids; without a batch all operations between them. */
export interface BatchPart {
  batchId: string | null;
  firstId: number;
  lastId: number;
}

export interface BatchPartState {
  batchId: string | null;
  firstId: number;
  pending: number;
  /** When the first of the pending ones may be tried again, canonical; null when that is now. */
  nextAttemptAt: string | null;
  failed: number;
  /** The error of the first failed one. */
  error: string | null;
}

/** Whether any operation in the range of all parts has this status: usually none has, and no part is looked at. */
const isAny = (status: 'pending' | 'failed') => `(
    SELECT q.id FROM sync_queue q WHERE q.workspace_id = $1 AND q.status = '${status}' AND q.id BETWEEN $5::bigint AND $6::bigint
    ORDER BY q.id LIMIT 1) IS NOT NULL`;

/**
 * Stamps the workspace's batches that are settled and end at or before the operation $4; says where each part ($2) stands, or nothing
 * where all of them are settled.
 */
// Plan: sync_batches_unfinished, and a range of sync_queue_pending a batch: as NOT EXISTS it became a join that read everything pending of
// the workspace for each of them. A range of sync_queue_pending and of sync_queue_failed a part.
export const FINISH = lookup(
  'finish_batches',
  `WITH parts AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset($2::jsonb) AS p("batchId" uuid, "firstId" bigint, "lastId" bigint)
  WHERE ${isAny('pending')} OR ${isAny('failed')}
), finished AS (
  UPDATE sync_batches b SET finished_at = $3::timestamptz
  WHERE b.workspace_id = $1 AND b.finished_at IS NULL AND b.last_operation_id <= $4 AND (
    SELECT q.id FROM sync_queue q
    WHERE q.workspace_id = $1 AND q.status = 'pending' AND q.id BETWEEN b.first_operation_id AND b.last_operation_id AND q.batch_id = b.id
    ORDER BY q.id LIMIT 1) IS NULL
)
SELECT p."batchId", p."firstId", waiting.pending, waiting.next AS "nextAttemptAt", broken.failed, broken.error
FROM parts p
CROSS JOIN LATERAL (
  SELECT count(*) AS pending, min(q.next_attempt_at) AS next FROM sync_queue q
  WHERE q.workspace_id = $1 AND q.status = 'pending' AND (p."batchId" IS NULL OR q.batch_id = p."batchId") AND q.id BETWEEN p."firstId" AND p."lastId"
) waiting
CROSS JOIN LATERAL (
  SELECT count(*) AS failed, (array_agg(q.error ORDER BY q.id))[1] AS error FROM sync_queue q
  WHERE q.workspace_id = $1 AND q.status = 'failed' AND q.batch_id = p."batchId" AND q.id BETWEEN p."firstId" AND p."lastId"
) broken`,
);

/** What FINISH is bound to. @param now canonical */
export function finishBind(workspaceId: string, upTo: number, parts: BatchPart[], now: string): unknown[] {
  const firstId = Math.min(upTo, ...parts.map((part) => part.firstId));
  const lastId = Math.max(0, ...parts.map((part) => part.lastId));
  return [workspaceId, JSON.stringify(parts), now, upTo, firstId, lastId];
}
