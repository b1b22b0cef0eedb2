// How much waits in the whole database, for the limits on what is accepted and for the metrics. Both queries read only the small partial
// indexes, and stop at a bound (I8): beyond it "at least that many" is all that anybody needs to know.
import type { Database } from './database.js';

export interface PendingCount {
  /** Pending operations of all workspaces, at most the bound. */
  total: number;
  /** Those of the workspaces that have at least `minimum`. */
  byWorkspace: Map<string, number>;
}

// The ORDER BY is for the planner: where it believes that much is pending it would rather read the whole log from its beginning.
const COUNT_PENDING = `
SELECT workspace_id AS "workspaceId", count(*) AS pending FROM (
  SELECT workspace_id FROM sync_queue WHERE status = 'pending' ORDER BY workspace_id, id LIMIT $1
) waiting
GROUP BY GROUPING SETS ((workspace_id), ())
HAVING grouping(workspace_id) = 1 OR count(*) >= $2`;

/**
 * Counts what is pending. Measured with 500,000 pending: 150 ms, so it is for once a second at most.
 * @param bound counts no further than this
 * @param minimum workspaces with fewer are left out, so that the answer is short however many there are
 */
export async function countPending(database: Database, bound: number, minimum: number): Promise<PendingCount> {
  const rows = await database.select<{ workspaceId: string | null; pending: number }>(COUNT_PENDING, [bound, minimum]);
  const byWorkspace = new Map<string, number>();
  let total = 0;
  for (const { workspaceId, pending } of rows) {
    if (workspaceId === null) total = pending;
    else byWorkspace.set(workspaceId, pending);
  }
  return { total, byWorkspace };
}

export interface Backlog {
  /** At most the bound. */
  pending: number;
  /** At most the bound. */
  failed: number;
  /** Canonical; null when nothing waits. */
  oldestPendingAt: string | null;
}

// The oldest of each workspace by a loose index scan, as in findStalled.ts, and of those the oldest: one look-up a workspace.
const BACKLOG = `
WITH RECURSIVE oldest AS (
  (SELECT workspace_id, created_at, 1 AS place FROM sync_queue WHERE status = 'pending' ORDER BY workspace_id, id LIMIT 1)
  UNION ALL
  SELECT next.workspace_id, next.created_at, oldest.place + 1 FROM oldest, LATERAL (
    SELECT workspace_id, created_at FROM sync_queue WHERE status = 'pending' AND workspace_id > oldest.workspace_id
    ORDER BY workspace_id, id LIMIT 1
  ) next
  WHERE oldest.place < $2
)
SELECT (SELECT min(created_at) FROM oldest) AS "oldestPendingAt",
  (SELECT count(*) FROM (SELECT 1 FROM sync_queue WHERE status = 'pending' ORDER BY workspace_id, id LIMIT $1) p) AS pending,
  (SELECT count(*) FROM (SELECT 1 FROM sync_queue WHERE status = 'failed' ORDER BY workspace_id, id LIMIT $1) f) AS failed`;

/** Workspaces that are looked at for the oldest pending operation. */
const WORKSPACES_MAX = 1_000;

/** What waits and what failed, of all workspaces. @param bound counts no further than this */
export async function readBacklog(database: Database, bound: number): Promise<Backlog> {
  const [row] = await database.select<Backlog>(BACKLOG, [bound, WORKSPACES_MAX]);
  return row ?? { pending: 0, failed: 0, oldestPendingAt: null };
}
