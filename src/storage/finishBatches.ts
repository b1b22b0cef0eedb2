// What follows an apply: batches that are settled get their finishing time, in the transaction that settled them, and jobs learn whether
// something of their batches still waits or has failed. One statement for all jobs that shared a group commit.
import type { Task } from '../sync/task.js';
import type { Database } from './database.js';
import { FEED_HEAD } from './readChanges.js';
import { lookup, planned, type Session } from './statement.js';
import { SYNC_STATUS_COLUMN, type SyncStatus, UNSETTLED_JOIN } from './taskView.js';

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
  /** When the first of the pending ones may be tried, which may wait behind others on its task, canonical; null when that is now. */
  nextAttemptAt: string | null;
  failed: number;
  /** The first failed one. */
  firstFailedId: number | null;
}

const isAny = (status: 'pending' | 'failed') => `(
    SELECT q.id FROM sync_queue q WHERE q.workspace_id = $1 AND q.status = '${status}' AND q.id BETWEEN $4::bigint AND $5::bigint
    ORDER BY q.id LIMIT 1) IS NOT NULL`;

// Stamps the workspace's batches that are settled and end at or before the operation $3; says whether any operation between $4 and $5 is
// not settled, or failed: usually none is, and nobody has to ask for more.
// Plan: sync_batches_unfinished, and for each batch the first of a range of sync_queue_pending: as NOT EXISTS it became a join that read
// everything pending of the workspace for each of them. The first of a range of sync_queue_pending, and of sync_queue_failed.
const FINISHED = `finished AS (
  UPDATE sync_batches b SET finished_at = $2::timestamptz
  WHERE b.workspace_id = $1 AND b.finished_at IS NULL AND b.last_operation_id <= $3 AND (
    SELECT q.id FROM sync_queue q
    WHERE q.workspace_id = $1 AND q.status = 'pending' AND q.id BETWEEN b.first_operation_id AND b.last_operation_id AND q.batch_id = b.id
    ORDER BY q.id LIMIT 1) IS NULL
), rest AS MATERIALIZED (SELECT ${isAny('pending')} OR ${isAny('failed')} AS "hasUnsettled")`;

// Plan: and the control file once: what is told of the transaction names the time line that it is on.
export const FINISH = lookup(
  'finish_batches',
  `WITH ${FINISHED}, head AS MATERIALIZED (${FEED_HEAD}) SELECT "hasUnsettled", incarnation FROM rest CROSS JOIN head`,
);

// The same, and the sync status of tasks, for those who wait (ADR 0021). The tasks' own columns are known: `t` stands for their rows. Only those that
// are not synced come back: hardly any. Plan: the control file once, and one look into sync_queue_unsettled a task.
export const FINISH_AND_TELL = lookup(
  'finish_and_tell',
  `WITH ${FINISHED}, head AS MATERIALIZED (${FEED_HEAD})
SELECT "hasUnsettled", incarnation, unsynced.* FROM rest CROSS JOIN head LEFT JOIN (
  SELECT t.id, ${SYNC_STATUS_COLUMN} FROM (
    SELECT $1::text AS workspace_id, k.* FROM unnest((SELECT $6::text[]), (SELECT $7::timestamptz[])) AS k(id, last_synced_at)
  ) t ${UNSETTLED_JOIN}
) unsynced ON unsynced."syncStatus" <> 'synced'`,
);

export interface Finishing {
  /** Batches that end behind this operation are left for later. */
  upTo: number;
  parts: BatchPart[];
  /** Canonical. */
  now: string;
  /** Tasks whose sync status is asked for; undefined where nobody waits for it. */
  tasks: readonly Pick<Task, 'id' | 'lastSyncedAt'>[] | undefined;
}

export interface Finished {
  /** Whether something of the parts still waits, or has failed. */
  hasUnsettled: boolean;
  /** See FeedHead. */
  incarnation: string;
  /** Of the tasks that were asked about those that are not synced. */
  unsynced: ReadonlyMap<string, SyncStatus>;
}

type FinishedRow = { hasUnsettled: boolean; incarnation: string; id?: string | null; syncStatus?: SyncStatus };

/** Finishes what is settled; to be called behind what settled it, in its transaction. */
export async function finishOn(session: Session, workspaceId: string, finishing: Finishing): Promise<Finished> {
  const { upTo, parts, now, tasks } = finishing;
  // Without parts the range is empty.
  const firstId = Math.min(upTo, ...parts.map((part) => part.firstId));
  const lastId = Math.max(0, ...parts.map((part) => part.lastId));
  const bind = [workspaceId, now, upTo, firstId, lastId];
  const running =
    tasks === undefined
      ? session.run<FinishedRow>(FINISH, bind)
      : session.run<FinishedRow>(FINISH_AND_TELL, [
          ...bind,
          tasks.map(({ id }) => id),
          tasks.map((task) => task.lastSyncedAt),
        ]);
  const rows = await running;
  const [first] = rows;
  if (first === undefined) throw new Error(`workspace ${workspaceId} does not exist`);
  const unsynced = new Map<string, SyncStatus>();
  for (const { id, syncStatus } of rows) if (id && syncStatus) unsynced.set(id, syncStatus);
  return { hasUnsettled: first.hasUnsettled, incarnation: first.incarnation, unsynced };
}

// Plan: a range of sync_queue_pending and of sync_queue_failed a part, and for each pending operation one look into sync_queue_put_off.
const PARTS = planned(
  `SELECT p."batchId", p."firstId", waiting.pending, waiting.next AS "nextAttemptAt", broken.failed, broken.first AS "firstFailedId"
FROM jsonb_to_recordset($2::jsonb) AS p("batchId" uuid, "firstId" bigint, "lastId" bigint)
CROSS JOIN LATERAL (
  SELECT count(*) AS pending, CASE WHEN bool_and(due.at IS NOT NULL) THEN min(due.at) END AS next FROM sync_queue q
  CROSS JOIN LATERAL (
    SELECT max(p.next_attempt_at) AS at FROM sync_queue p
    WHERE p.workspace_id = $1 AND p.task_id = q.task_id AND p.next_attempt_at > $3::timestamptz
  ) due
  WHERE q.workspace_id = $1 AND q.status = 'pending' AND (p."batchId" IS NULL OR q.batch_id = p."batchId") AND q.id BETWEEN p."firstId" AND p."lastId"
) waiting
CROSS JOIN LATERAL (
  SELECT count(*) AS failed, min(q.id) AS first FROM sync_queue q
  WHERE q.workspace_id = $1 AND q.status = 'failed' AND q.batch_id = p."batchId" AND q.id BETWEEN p."firstId" AND p."lastId"
) broken`,
);

/** Where parts of batches stand. @param now canonical */
export function readParts(
  database: Database,
  workspaceId: string,
  parts: BatchPart[],
  now: string,
): Promise<BatchPartState[]> {
  return database.pipeline((session, sendCommit) => {
    const states = session.run<BatchPartState>(PARTS, [workspaceId, JSON.stringify(parts), now]);
    sendCommit();
    return states;
  });
}
