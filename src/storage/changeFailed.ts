// What can be done with a failed operation: try it again with fresh retries, or discard it. Both lock the workspace first, because the
// applying transaction updates the same rows and the two would deadlock. Both also decide what depends on it (docs/decisions/0023).

import type { Transaction } from 'sequelize';
import type { Database } from './database.js';
import { lockWorkspace } from './lockWorkspace.js';
import { SyncQueueItem } from './models/syncQueueItem.js';

const RETRY = `
UPDATE sync_queue SET status = 'pending', retry_count = 0, error = NULL, outcome_code = NULL, next_attempt_at = NULL
WHERE workspace_id = $1 AND id = $2 RETURNING id`;

const DISCARD = 'DELETE FROM sync_queue WHERE workspace_id = $1 AND id = $2 RETURNING id';

// In words that sync_queue_unsettled answers and sync_queue_failed does not: see LAST_FAILED in taskView.ts.
const RELEASE = `
UPDATE sync_queue SET status = 'pending', retry_count = 0, error = NULL, outcome_code = NULL, next_attempt_at = NULL
WHERE workspace_id = $1 AND task_id = ANY($2::text[]) AND status <> 'synced' AND status <= 'failed' AND outcome_code = 'depends_on_failed'
RETURNING id`;

const MAKE_DUE = `
UPDATE sync_queue SET next_attempt_at = NULL WHERE workspace_id = $1 AND task_id = ANY($2::text[]) AND next_attempt_at IS NOT NULL
RETURNING id`;

export interface ChangedItem {
  /** As it was: nothing was changed unless its status was `failed`. */
  item: SyncQueueItem;
  /** The operations on its task that are due now with it: those that depended on it, and what was put off. */
  released: number[];
}

/**
 * Makes a failed operation due now, and what depends on a failed create of its task, which comes after it.
 * @returns undefined if there is no operation of that id
 */
export function retryFailed(database: Database, workspaceId: string, id: number): Promise<ChangedItem | undefined> {
  return changeFailed(database, workspaceId, id, RETRY);
}

/**
 * Removes a failed operation from the log; sent again it is a new one. What depended on it is due now.
 * @returns as retryFailed
 */
export function discardFailed(database: Database, workspaceId: string, id: number): Promise<ChangedItem | undefined> {
  return changeFailed(database, workspaceId, id, DISCARD);
}

/**
 * Makes due what waits on these tasks for what becomes of others: what failed because it depends on a failed create, which fails again where
 * there is still one, and what is put off, because the whole task would go on waiting for it.
 * @param transaction which has locked the workspace
 * @returns the ids, oldest first
 */
export async function releaseTasks(
  database: Database,
  workspaceId: string,
  taskIds: string[],
  transaction: Transaction,
): Promise<number[]> {
  const released = await database.select<{ id: number }>(RELEASE, [workspaceId, taskIds], transaction);
  const due = await database.select<{ id: number }>(MAKE_DUE, [workspaceId, taskIds], transaction);
  return [...released, ...due].map((row) => row.id).sort((a, b) => a - b);
}

function changeFailed(database: Database, workspaceId: string, id: number, statement: string) {
  return database.transaction(async (transaction) => {
    await lockWorkspace(database, workspaceId, transaction);
    const items = database.sequelize.getRepository(SyncQueueItem);
    const item = await items.findOne({ where: { workspaceId, id }, raw: true, transaction });
    if (item?.status !== 'failed') return item === null ? undefined : { item, released: [] };
    await database.select(statement, [workspaceId, id], transaction);
    return { item, released: await releaseTasks(database, workspaceId, [item.taskId], transaction) };
  });
}
