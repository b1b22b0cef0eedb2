// What can be done with a failed operation: try it again with fresh retries, or discard it. Both lock the workspace first, because the
// applying transaction updates the same rows and the two would deadlock.

import type { Database } from './database.js';
import { lockWorkspace } from './lockWorkspace.js';
import { SyncQueueItem } from './models/syncQueueItem.js';

const RETRY = `
UPDATE sync_queue SET status = 'pending', retry_count = 0, error = NULL, next_attempt_at = NULL
WHERE workspace_id = $1 AND id = $2 RETURNING id`;

const DISCARD = 'DELETE FROM sync_queue WHERE workspace_id = $1 AND id = $2 RETURNING id';

/**
 * Makes a failed operation due now.
 * @returns the item as it was: nothing was changed unless its status was `failed`. Undefined: there is none of that id
 */
export function retryFailed(database: Database, workspaceId: string, id: number): Promise<SyncQueueItem | undefined> {
  return changeFailed(database, workspaceId, id, RETRY);
}

/**
 * Removes a failed operation from the log; sent again it is a new one.
 * @returns as retryFailed
 */
export function discardFailed(database: Database, workspaceId: string, id: number): Promise<SyncQueueItem | undefined> {
  return changeFailed(database, workspaceId, id, DISCARD);
}

function changeFailed(database: Database, workspaceId: string, id: number, statement: string) {
  return database.transaction(async (transaction) => {
    await lockWorkspace(database, workspaceId, transaction);
    const items = database.sequelize.getRepository(SyncQueueItem);
    const item = await items.findOne({ where: { workspaceId, id }, raw: true, transaction });
    if (item?.status === 'failed') await database.select(statement, [workspaceId, id], transaction);
    return item ?? undefined;
  });
}
