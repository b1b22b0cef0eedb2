// The change feed's reads. A change is a whole task at its latest seq. Writers hold the workspace's lock until they commit (I3), so a
// snapshot that shows a seq shows every lower one too: reading by seq never skips (I6).
import type { Database } from './database.js';
import { lookup, prepared, type Session } from './statement.js';
import { SYNC_STATUS_COLUMN, TASK_COLUMNS, type TaskView, UNSETTLED_JOIN } from './taskView.js';

export interface FeedHead {
  /** The last seq of the workspace. */
  seq: number;
  /** Cursors below this are too old to continue from. */
  floorSeq: number;
  /** Differs between databases, and between a database and its restored backup. */
  incarnation: string;
}

// A dump that is restored gets new oids, a physical restore or a failover a new timeline, a new cluster a new identifier. A copy of the
// files shows none of this: for that an operator changes sync_identity.
// Not the control file's timeline: after a promotion that stays the old one until the next checkpoint is complete.
const TIMELINE = `CASE WHEN pg_is_in_recovery() THEN lpad(upper(to_hex((pg_control_checkpoint()).timeline_id)), 8, '0')
    ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END`;

/** Gives a FeedHead as one row; none for a workspace ($1) that does not exist. */
export const FEED_HEAD = `SELECT w.seq, w.floor_seq AS "floorSeq",
  concat_ws('-', (pg_control_system()).system_identifier, ${TIMELINE},
    (SELECT oid FROM pg_database WHERE datname = current_database()), 'tasks'::regclass::oid,
    (SELECT incarnation FROM sync_identity)) AS incarnation
FROM workspaces w WHERE w.id = $1`;

const HEAD = prepared('feed_head', FEED_HEAD);

/** Where the feed of a workspace ends now. @throws an Error for a workspace that does not exist */
export async function readFeedHead(database: Database, workspaceId: string): Promise<FeedHead> {
  return only(await database.run<FeedHead>(HEAD, [workspaceId]), workspaceId);
}

const LOCKED_HEAD = prepared('lock_feed_head', `${FEED_HEAD} FOR NO KEY UPDATE OF w`);

/**
 * The same, and locks the workspace for the rest of the transaction, as lockOn does: for a writer that tells the cursor of its
 * own change. What it commits is of this incarnation: no connection outlives a failover or a restore, and where sync_identity is changed
 * under it, the cursor is one that has expired, which is safe.
 */
export async function lockFeedHead(session: Session, workspaceId: string): Promise<FeedHead> {
  return only(await session.run<FeedHead>(LOCKED_HEAD, [workspaceId]), workspaceId);
}

function only([head]: FeedHead[], workspaceId: string): FeedHead {
  if (head === undefined) throw new Error(`workspace ${workspaceId} does not exist`);
  return head;
}

/** The position is below the floor of the feed: deletions after it were compacted, and reading on would miss them. */
export class FeedCompacted extends Error {
  override name = 'FeedCompacted';
}

// The floor comes from the snapshot of the page: compaction may have passed the reader since he opened the feed. What the planner could count
// with is selected, as in readPage.ts. Plan: tasks_seq from the seq on up to the limit, and one look into sync_queue_unsettled a task.
const CHANGES = lookup(
  'feed_changes',
  `SELECT w.floor_seq AS "floorSeq", page.* FROM workspaces w LEFT JOIN LATERAL (
  SELECT ${TASK_COLUMNS}, ${SYNC_STATUS_COLUMN} FROM tasks t ${UNSETTLED_JOIN}
  WHERE t.workspace_id = $1 AND t.seq > (SELECT $2::bigint) AND (NOT t.deleted OR t.seq > (SELECT $3::bigint) AND NOT t.stub)
  ORDER BY t.seq LIMIT (SELECT $4::int)
) page ON true
WHERE w.id = $1 ORDER BY page.seq`,
);

type ChangeRow = { floorSeq: number } & (TaskView | { id: null });

/**
 * At most `limit` tasks that changed after `seq`, by seq; without the tombstones up to `liveUntil`.
 * @throws FeedCompacted
 */
export async function readChanges(
  database: Database,
  workspaceId: string,
  after: { seq: number; liveUntil: number },
  limit: number,
): Promise<TaskView[]> {
  const rows = await database.pipeline((session, sendCommit) => {
    const reading = session.run<ChangeRow>(CHANGES, [workspaceId, after.seq, after.liveUntil, limit]);
    sendCommit();
    return reading;
  });
  // A bootstrap under way may be below the floor: it reads no tombstones from before its beginning.
  if (Math.max(after.seq, after.liveUntil) < (rows[0]?.floorSeq ?? 0)) throw new FeedCompacted();
  return rows.flatMap(({ floorSeq, ...row }) => (row.id === null ? [] : [row]));
}

/** The last seq of each of the workspaces. */
export async function readSeqs(database: Database, workspaceIds: string[]): Promise<Map<string, number>> {
  const rows = await database.select<{ id: string; seq: number }>(
    'SELECT id, seq FROM workspaces WHERE id = ANY($1::text[])',
    [workspaceIds],
  );
  return new Map(rows.map((row) => [row.id, row.seq]));
}
