// Compaction of deleted tasks, a chunk a call. A tombstone past its retention becomes a stub: it leaves the change feed, and the floor
// of the feed rises over it in the same transaction, so that no cursor from before it continues and misses it (I6). A stub still tells
// the merge that the task was deleted, until it is deleted itself.

import type { Database } from './database.js';
import { lockWorkspace } from './lockWorkspace.js';

export interface Chunk {
  workspaceId: string;
  /** Rows from before this, canonical. */
  before: string;
  /** At most this many rows. */
  limit: number;
}

// The ORDER BY is for the planner: it would rather look through the whole table where many rows are due.
const OLDEST_TOMBSTONE = `
SELECT id FROM tasks WHERE workspace_id = $1 AND deleted AND NOT stub AND last_synced_at < $2::timestamptz
ORDER BY last_synced_at LIMIT 1`;

const STUB = `
WITH stubbed AS (
  UPDATE tasks SET stub = true, title = '', description = NULL, completed = false, field_versions = NULL
  WHERE workspace_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM tasks WHERE workspace_id = $1 AND deleted AND NOT stub AND last_synced_at < $2::timestamptz
    ORDER BY last_synced_at LIMIT $3))
  RETURNING seq
), summary AS (
  SELECT count(*) AS count, max(seq) AS highest FROM stubbed
), raised AS (
  UPDATE workspaces SET floor_seq = GREATEST(floor_seq, summary.highest) FROM summary WHERE id = $1 AND summary.count > 0
)
SELECT count FROM summary`;

/**
 * Makes stubs of a chunk of old tombstones, oldest first. It holds the workspace's lock for this one statement (I3): a writer that
 * brings one of them back comes before or after it.
 * @returns how many; fewer than the limit means that none is left
 */
export async function stubTombstones(database: Database, { workspaceId, before, limit }: Chunk): Promise<number> {
  // Where nothing is due, which is nearly always, no lock is taken.
  const due = await database.select(OLDEST_TOMBSTONE, [workspaceId, before]);
  if (due.length === 0) return 0;
  return database.transaction(async (transaction) => {
    await lockWorkspace(database, workspaceId, transaction);
    const [stubbed] = await database.select<{ count: number }>(STUB, [workspaceId, before, limit], transaction);
    return stubbed?.count ?? 0;
  });
}

// A stub that a writer has locked is becoming a task again: it is skipped, so that neither waits for the other.
const DELETE_STUBS = `
WITH gone AS (
  DELETE FROM tasks WHERE workspace_id = $1 AND stub AND id = ANY(ARRAY(
    SELECT id FROM tasks WHERE workspace_id = $1 AND stub AND last_synced_at < $2::timestamptz
    ORDER BY last_synced_at LIMIT $3 FOR UPDATE SKIP LOCKED))
  RETURNING 1
)
SELECT count(*) FROM gone`;

/** Deletes a chunk of old stubs. @returns how many; fewer than the limit means that none is left */
export async function deleteStubs(database: Database, { workspaceId, before, limit }: Chunk): Promise<number> {
  const [gone] = await database.select<{ count: number }>(DELETE_STUBS, [workspaceId, before, limit]);
  return gone?.count ?? 0;
}

/** The next workspaces by id. @param afterId the last one of the page before; empty text for the first page */
export async function listWorkspaceIds(database: Database, afterId: string, limit: number): Promise<string[]> {
  const rows = await database.select<{ id: string }>('SELECT id FROM workspaces WHERE id > $1 ORDER BY id LIMIT $2', [
    afterId,
    limit,
  ]);
  return rows.map((row) => row.id);
}
