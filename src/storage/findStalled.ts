// Finding work whose job was lost: workspaces whose oldest pending operation has waited too long.
import type { Database } from './database.js';

export interface StalledWorkspace {
  workspaceId: string;
  /** Its oldest pending operation. */
  firstId: number;
  /** Its newest pending operation. */
  lastId: number;
}

// A loose index scan over the pending operations: two index look-ups a workspace, whatever the backlog, where a GROUP BY would read
// every pending row each second (PostgreSQL wiki, "Loose indexscan").
const FIND = `
WITH RECURSIVE oldest AS (
  (SELECT workspace_id, id, created_at FROM sync_queue WHERE status = 'pending' ORDER BY workspace_id, id LIMIT 1)
  UNION ALL
  SELECT next.* FROM oldest, LATERAL (
    SELECT workspace_id, id, created_at FROM sync_queue WHERE status = 'pending' AND workspace_id > oldest.workspace_id
    ORDER BY workspace_id, id LIMIT 1
  ) next
)
SELECT oldest.workspace_id AS "workspaceId", oldest.id AS "firstId", newest.id AS "lastId"
FROM oldest, LATERAL (
  SELECT id FROM sync_queue WHERE status = 'pending' AND workspace_id = oldest.workspace_id ORDER BY id DESC LIMIT 1
) newest
WHERE oldest.created_at <= $1::timestamptz OR oldest.created_at > $3::timestamptz
LIMIT $2`;

/**
 * At most `limit` workspaces whose oldest pending operation was accepted at or before `acceptedBefore`, or after `future` (both canonical): the
 * clock was set back since, and nobody knows how long it has waited.
 */
export function findStalled(
  database: Database,
  acceptedBefore: string,
  future: string,
  limit: number,
): Promise<StalledWorkspace[]> {
  return database.select<StalledWorkspace>(FIND, [acceptedBefore, limit, future]);
}
