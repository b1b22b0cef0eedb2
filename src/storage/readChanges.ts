// The change feed's reads. A change is a whole task at its latest seq. Writers hold the workspace's lock until they commit (I3), so a
// snapshot that shows a seq shows every lower one too: reading by seq never skips (I6).
import { cutBy } from './cutPage.js';
import type { Database } from './database.js';
import { lookup, planned, prepared, type Session } from './statement.js';
import { SYNC_STATUS_COLUMN, TASK_COLUMNS, type TaskView, TEXT_BYTES, UNSETTLED_JOIN } from './taskView.js';

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

/** The incarnation of the database, of which installationOf (src/queue/installation.ts) takes all but the timeline. */
const INCARNATION = `concat_ws('-', (pg_control_system()).system_identifier, ${TIMELINE},
    (SELECT oid FROM pg_database WHERE datname = current_database()), 'tasks'::regclass::oid,
    (SELECT incarnation FROM sync_identity))`;

/** Gives a FeedHead as one row; none for a workspace ($1) that does not exist. */
export const FEED_HEAD = `SELECT w.seq, w.floor_seq AS "floorSeq", ${INCARNATION} AS incarnation FROM workspaces w WHERE w.id = $1`;

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

const IDENTITY = planned(`SELECT ${INCARNATION} AS incarnation`);

/** The incarnation of the database alone; see FeedHead. */
export async function readIncarnation(database: Database): Promise<{ incarnation: string }> {
  const [row] = await database.run<{ incarnation: string }>(IDENTITY, []);
  if (row === undefined) throw new Error('the database has no identity');
  return row;
}

// The head comes from the snapshot of the page: compaction may have passed the reader since he opened the feed, and the database may be another
// one by now. What the planner could count with is selected, as in readPage.ts. Plan: the control file once, tasks_seq from the seq on up to the
// limit, and one look into sync_queue_unsettled a task.
const CHANGES = lookup(
  'feed_changes',
  `WITH head AS MATERIALIZED (${FEED_HEAD})
SELECT h.seq AS "headSeq", h."floorSeq", h.incarnation, page.* FROM head h LEFT JOIN LATERAL (
  SELECT ${TASK_COLUMNS}, ${SYNC_STATUS_COLUMN}, t.found FROM (
    SELECT t.*, ${cutBy(TEXT_BYTES, 't.seq')} FROM (
      SELECT * FROM tasks t
      WHERE t.workspace_id = $1 AND t.seq > (SELECT $2::bigint) AND (NOT t.deleted OR t.seq > (SELECT $3::bigint) AND NOT t.stub)
      ORDER BY t.seq LIMIT (SELECT $4::int + 1)
    ) t
  ) t ${UNSETTLED_JOIN} WHERE t.number <= $4 AND (t.number = 1 OR t.bytes <= $5)
) page ON true
ORDER BY page.seq`,
);

type ChangeRow = { headSeq: number; floorSeq: number; incarnation: string } & (
  | (TaskView & { found: number })
  | { id: null }
);

/** Changes with the head of the feed in the same snapshot: who follows a feed has to compare the two (requireSameFeed). */
export interface FoundChanges extends FeedHead {
  changes: TaskView[];
  /** Whether more follow. */
  hasMore: boolean;
}

/** How many changes, and how many bytes their texts may take; at least one change fits. */
export interface ChangesSize {
  limit: number;
  maxBytes: number;
}

/** At most so many tasks that changed after `seq`, by seq; without the tombstones up to `liveUntil`. */
export async function readChanges(
  database: Database,
  workspaceId: string,
  after: { seq: number; liveUntil: number },
  { limit, maxBytes }: ChangesSize,
): Promise<FoundChanges> {
  const rows = await database.pipeline((session, sendCommit) => {
    const reading = session.run<ChangeRow>(CHANGES, [workspaceId, after.seq, after.liveUntil, limit, maxBytes]);
    sendCommit();
    return reading;
  });
  const [first] = rows;
  if (first === undefined) throw new Error(`workspace ${workspaceId} does not exist`);
  const changes = rows.flatMap(({ headSeq, floorSeq, incarnation, ...row }) => (row.id === null ? [] : [row]));
  return {
    seq: first.headSeq,
    floorSeq: first.floorSeq,
    incarnation: first.incarnation,
    changes,
    hasMore: (changes[0]?.found ?? 0) > changes.length,
  };
}

// Selecting from the sequence would need a right that giving ids does not.
const REACHED = planned(
  `SELECT ${INCARNATION} AS incarnation, pg_sequence_last_value('sync_queue_id_seq') AS "lastOperationId",
  (SELECT jsonb_object_agg(id, seq) FROM workspaces WHERE id = ANY($1::text[])) AS seqs`,
);

export interface Reached {
  /** See FeedHead. */
  incarnation: string;
  /** The id that was given to an operation last; null in a database that has none. */
  lastOperationId: number | null;
  /** The last seq by workspace; null where none of them exists. */
  seqs: Record<string, number> | null;
}

/** What the database and some of its workspaces have reached, in one snapshot. */
export async function readReached(database: Database, workspaceIds: string[]): Promise<Reached> {
  const [reached] = await database.run<Reached>(REACHED, [workspaceIds]);
  if (reached === undefined) throw new Error('the database says nothing of itself');
  return reached;
}
