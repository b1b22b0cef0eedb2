// What follows an apply: batches that are settled get their finishing time, in the transaction that settled them, and jobs learn whether
// something of their batches still waits or has failed. One statement for all jobs that shared a group commit.
import type { Database } from './database.js';
import { lookup, planned } from './statement.js';

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

const isAny = (status: 'pending' | 'failed') => `(
    SELECT q.id FROM sync_queue q WHERE q.workspace_id = $1 AND q.status = '${status}' AND q.id BETWEEN $4::bigint AND $5::bigint
    ORDER BY q.id LIMIT 1) IS NOT NULL`;

/**
 * Stamps the workspace's batches that are settled and end at or before the operation $3; says whether any operation between $4 and $5 is
 * not settled, or failed: usually none is, and nobody has to ask for more.
 */
// Plan: sync_batches_unfinished, and for each batch the first of a range of sync_queue_pending: as NOT EXISTS it became a join that read
// everything pending of the workspace for each of them. The first of a range of sync_queue_pending, and of sync_queue_failed.
export const FINISH = lookup(
  'finish_batches',
  `WITH finished AS (
  UPDATE sync_batches b SET finished_at = $2::timestamptz
  WHERE b.workspace_id = $1 AND b.finished_at IS NULL AND b.last_operation_id <= $3 AND (
    SELECT q.id FROM sync_queue q
    WHERE q.workspace_id = $1 AND q.status = 'pending' AND q.id BETWEEN b.first_operation_id AND b.last_operation_id AND q.batch_id = b.id
    ORDER BY q.id LIMIT 1) IS NULL
)
SELECT ${isAny('pending')} OR ${isAny('failed')} AS "hasUnsettled"`,
);

/** What FINISH is bound to; without parts the range is empty. @param now canonical */
export function finishBind(workspaceId: string, upTo: number, parts: BatchPart[], now: string): unknown[] {
  const firstId = Math.min(upTo, ...parts.map((part) => part.firstId));
  const lastId = Math.max(0, ...parts.map((part) => part.lastId));
  return [workspaceId, now, upTo, firstId, lastId];
}

// Plan: a range of sync_queue_pending and of sync_queue_failed a part.
const PARTS = planned(
  `SELECT p."batchId", p."firstId", waiting.pending, waiting.next AS "nextAttemptAt", broken.failed, broken.error
FROM jsonb_to_recordset($2::jsonb) AS p("batchId" uuid, "firstId" bigint, "lastId" bigint)
CROSS JOIN LATERAL (
  SELECT count(*) AS pending, min(q.next_attempt_at) AS next FROM sync_queue q
  WHERE q.workspace_id = $1 AND q.status = 'pending' AND (p."batchId" IS NULL OR q.batch_id = p."batchId") AND q.id BETWEEN p."firstId" AND p."lastId"
) waiting
CROSS JOIN LATERAL (
  SELECT count(*) AS failed, (array_agg(q.error ORDER BY q.id))[1] AS error FROM sync_queue q
  WHERE q.workspace_id = $1 AND q.status = 'failed' AND q.batch_id = p."batchId" AND q.id BETWEEN p."firstId" AND p."lastId"
) broken`,
);

/** Where parts of batches stand. */
export function readParts(database: Database, workspaceId: string, parts: BatchPart[]): Promise<BatchPartState[]> {
  return database.pipeline((session, sendCommit) => {
    const states = session.run<BatchPartState>(PARTS, [workspaceId, JSON.stringify(parts)]);
    sendCommit();
    return states;
  });
}
