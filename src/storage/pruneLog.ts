// Pruning the operation log, a chunk a call: settled operations and finished batches past their retention go, pending and failed
// operations stay however old they are. It takes no lock but those of the rows that it deletes, which no writer changes any more.
import type { Chunk } from './compactTasks.js';
import type { Database } from './database.js';

export interface LogWalk {
  /** How many rows were deleted. */
  deleted: number;
  /** Where the next chunk starts; undefined at the end of what is old. */
  next: number | undefined;
}

// By key, because ids count up in the order of acceptance: an index by time would cost every write one more entry. What it walks over
// each time again are only the failed and pending operations from before the retention.
const PRUNE = `
WITH walked AS MATERIALIZED (
  SELECT id, created_at, status = 'synced' AND COALESCE(last_attempted_at, created_at) < $3::timestamptz AS due
  FROM sync_queue WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $4
), gone AS (
  DELETE FROM sync_queue WHERE workspace_id = $1 AND status = 'synced' AND id = ANY(ARRAY(SELECT id FROM walked WHERE due))
  RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS deleted, count(*) AS walked, max(id) AS last,
  COALESCE((SELECT created_at < $3::timestamptz FROM walked ORDER BY id DESC LIMIT 1), false) AS "isOld"
FROM walked`;

interface WalkRow {
  deleted: number;
  walked: number;
  last: number | null;
  isOld: boolean;
}

/** Walks over the next `limit` operations of the log after `afterId` and deletes those that were settled before `before`. */
export async function pruneOperations(database: Database, chunk: Chunk, afterId: number): Promise<LogWalk> {
  const { workspaceId, before, limit } = chunk;
  const [row] = await database.select<WalkRow>(PRUNE, [workspaceId, afterId, before, limit]);
  if (row === undefined) return { deleted: 0, next: undefined };
  const next = row.isOld && row.walked === limit ? (row.last ?? undefined) : undefined;
  return { deleted: row.deleted, next };
}

const PRUNE_BATCHES = `
WITH gone AS (
  DELETE FROM sync_batches WHERE workspace_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM sync_batches WHERE workspace_id = $1 AND finished_at IS NOT NULL AND finished_at < $2::timestamptz
    ORDER BY finished_at LIMIT $3))
  RETURNING 1
)
SELECT count(*) FROM gone`;

/** Deletes a chunk of batches that were finished before `before`. @returns how many; fewer than the limit means that none is left */
export async function pruneBatches(database: Database, { workspaceId, before, limit }: Chunk): Promise<number> {
  const [gone] = await database.select<{ count: number }>(PRUNE_BATCHES, [workspaceId, before, limit]);
  return gone?.count ?? 0;
}
