// Operations whose next attempt lies further ahead than any attempt is put off: the clock was set back since, and they would wait until it
// has come that far again.
import type { Database } from './database.js';
import { lockWorkspace } from './lockWorkspace.js';

const WHERE = `workspace_id = $1 AND next_attempt_at IS NOT NULL AND next_attempt_at > $2::timestamptz AND status = 'pending'`;

// Plan: sync_queue_put_off, which holds what waits for another attempt: hardly anything.
const FIND = `SELECT id FROM sync_queue WHERE ${WHERE} LIMIT 1`;
const RESET = `UPDATE sync_queue SET next_attempt_at = NULL WHERE ${WHERE} RETURNING id`;

/**
 * Makes them due now. It locks the workspace where there are any, like all who change what waits.
 * @param latest the latest time that an attempt may have been put off to, canonical
 */
export async function resetAttempts(database: Database, workspaceId: string, latest: string): Promise<void> {
  const found = await database.select(FIND, [workspaceId, latest]);
  if (found.length === 0) return;
  await database.transaction(async (transaction) => {
    await lockWorkspace(database, workspaceId, transaction);
    await database.select(RESET, [workspaceId, latest], transaction);
  });
}
