// Writing down that an operation could not be applied, so that retry_count, last_attempted_at and error tell the truth.
import type { Database } from './database.js';

export interface Failure {
  workspaceId: string;
  operationId: number;
  /** What the user is told. */
  error: string;
  /** Fails now, whatever retries it has left; its retry_count stays. */
  isPermanent: boolean;
  /** Server time, canonical. */
  now: string;
  /** When it may be tried again if it has retries left, canonical; given the number of failed attempts. */
  nextAttemptAt: (failedAttempts: number) => string;
}

/**
 * Counts one failed attempt of a pending operation; with its retries used up it is failed, else it waits for its next attempt.
 * @returns its status afterwards; undefined if it is not pending any more
 */
export async function recordFailure(database: Database, failure: Failure): Promise<'pending' | 'failed' | undefined> {
  const [current] = await database.select<{ retryCount: number; maxRetries: number }>(
    `SELECT retry_count AS "retryCount", max_retries AS "maxRetries" FROM sync_queue
     WHERE workspace_id = $1 AND id = $2 AND status = 'pending'`,
    [failure.workspaceId, failure.operationId],
  );
  if (current === undefined) return undefined;
  const retryCount = failure.isPermanent ? current.retryCount : current.retryCount + 1;
  const status = failure.isPermanent || retryCount >= current.maxRetries ? 'failed' : 'pending';
  const nextAttemptAt = status === 'failed' ? null : failure.nextAttemptAt(retryCount);
  // Compared with the count that was read: of two workers that failed on it at once only one counts.
  const updated = await database.select(
    `UPDATE sync_queue SET status = $3, retry_count = $4, error = $5, last_attempted_at = $6::timestamptz,
       next_attempt_at = $7::timestamptz
     WHERE workspace_id = $1 AND id = $2 AND status = 'pending' AND retry_count = $8 RETURNING id`,
    [
      failure.workspaceId,
      failure.operationId,
      status,
      retryCount,
      failure.error,
      failure.now,
      nextAttemptAt,
      current.retryCount,
    ],
  );
  return updated.length === 0 ? undefined : status;
}

/** Notes that operations were tried and put off by a transient fault; costs them no retry. */
export async function recordAttempt(database: Database, workspaceId: string, ids: number[], now: string) {
  await database.select(
    `UPDATE sync_queue SET last_attempted_at = $3::timestamptz
     WHERE workspace_id = $1 AND id = ANY($2::bigint[]) AND status = 'pending'`,
    [workspaceId, ids, now],
  );
}
