// Which of many ranges of operations still hold one that waits or has failed.
import type { Database } from './database.js';

/** Operations of a workspace between two ids; with a batch, only those that came with it. */
export interface OperationRange {
  key: string;
  workspaceId: string;
  batchId: string | null;
  firstId: number;
  lastId: number;
}

const firstOf = (status: 'pending' | 'failed') => `(
  SELECT q.id FROM sync_queue q
  WHERE q.workspace_id = r."workspaceId" AND q.status = '${status}' AND q.id BETWEEN r."firstId" AND r."lastId"
    AND (r."batchId" IS NULL OR q.batch_id = r."batchId")
  ORDER BY q.id LIMIT 1)`;

// Plan: the first of a range of sync_queue_pending and of sync_queue_failed a range.
const FIND = `
SELECT DISTINCT r.key FROM jsonb_to_recordset($1::jsonb) AS r(key text, "workspaceId" text, "batchId" uuid, "firstId" bigint, "lastId" bigint)
WHERE ${firstOf('pending')} IS NOT NULL OR ${firstOf('failed')} IS NOT NULL`;

/** The keys of the ranges in which something waits or has failed. */
export async function findUnsettled(database: Database, ranges: OperationRange[]): Promise<Set<string>> {
  const rows = await database.select<{ key: string }>(FIND, [JSON.stringify(ranges)]);
  return new Set(rows.map(({ key }) => key));
}
