// A page of the change feed as the text of its JSON, made by PostgreSQL: most of a bootstrap's tasks are only passed on. For 100,000 tasks, in us of
// CPU a task: 6 of the database and 1 to 3 here, where columns, objects and JSON.stringify took 3 and 12.
import { runningSum } from './cutPage.js';
import type { Database } from './database.js';
import { FEED_HEAD, type FeedHead } from './readChanges.js';
import { BUCKET_OF_TASK } from './readDigest.js';
import { lookup } from './statement.js';
import { SYNC_STATUS, TEXT_BYTES, UNSETTLED_JOIN } from './taskView.js';

/** Where a page begins. */
export interface PageStart {
  /** Behind this seq. */
  seq: number;
  /** Tombstones up to this seq are left out. */
  liveUntil: number;
  /** Only live tasks of this bucket of the digest. */
  bucket: number | undefined;
}

/** A page with the head of the feed in the same snapshot: who continues a feed has to compare the two (requireSameFeed). */
export interface PageText extends FeedHead {
  /** The tasks, by seq, each as the API answers it, with the separator between them. */
  text: string;
  count: number;
  /** Of the last one; null where there is none. */
  lastSeq: number | null;
  hasMore: boolean;
}

const json = (column: string) => `to_json(t.${column})::text`;
// The session's time zone is UTC (Sequelize sets it at connect).
const time = (column: string) => `to_char(t.${column}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** A task in the form of presentTask (src/api/present.ts); a test holds the two together. None of the parts is ever null. */
const TASK_JSON = `'{"id":' || ${json('id')} || ',"server_id":"' || t.server_id || '","title":' || ${json('title')} ||
    ',"description":' || coalesce(${json('description')}, 'null') || ',"completed":' || t.completed || ',"deleted":' || t.deleted ||
    ',"created_at":"' || ${time('created_at')} || '","updated_at":"' || ${time('updated_at')} ||
    '","updated_by":' || ${json('updated_by')} || ',"op_id":' || ${json('op_id')} || ',"seq":' || t.seq ||
    ',"sync_status":"' || ${SYNC_STATUS} || '","last_synced_at":"' || ${time('last_synced_at')} || '"}'`;

// The head comes from the snapshot of the page: compaction may have passed the reader since he opened the feed, and the database may be another
// one by now. string_agg keeps the order of the subquery; an ORDER BY in it would sort the texts.
// A page ends where it is long enough: by the lengths of the texts before they are read, and then by that of the JSON, which may be six times as long.
// OFFSET 0 keeps the planner from putting the text's expression into each of its three uses: a page took twice as long.
// What the planner could count with is selected, else a plan for few rows looks cheaper than the kept one, and each page is planned anew (0.3 ms).
// Plan: the control file once, tasks_seq from the start on up to the limit, and one look into sync_queue_unsettled a task.
const pageOf = (tasks: string) => `
WITH head AS MATERIALIZED (${FEED_HEAD})
SELECT h.*, p.* FROM head h CROSS JOIN LATERAL (
  SELECT coalesce(string_agg(task, $4) FILTER (WHERE fits), '') AS text, (count(*) FILTER (WHERE fits))::int AS count,
    max(seq) FILTER (WHERE fits) AS "lastSeq", count(*) > count(*) FILTER (WHERE fits) AS "hasMore"
  FROM (
    SELECT seq, task, number <= $3 AND task IS NOT NULL AND (number = 1 OR ${runningSum('octet_length(task) + 1', 'seq')} <= $6) AS fits
    FROM (
      SELECT t.seq, t.number, CASE WHEN t.number = 1 OR t.bytes <= $6 THEN ${TASK_JSON} END AS task
      FROM (
        SELECT t.*, row_number() OVER (ORDER BY t.seq) AS number, ${runningSum(TEXT_BYTES, 't.seq')} AS bytes FROM tasks t
        WHERE t.workspace_id = $1 AND t.seq > (SELECT $2::bigint) AND ${tasks} ORDER BY t.seq LIMIT (SELECT $3::int + 1)
      ) t ${UNSETTLED_JOIN} OFFSET 0
    ) t
  ) page
) p`;

const FEED = lookup('feed_page', pageOf('(NOT t.deleted OR t.seq > (SELECT $5::bigint) AND NOT t.stub)'));
// Walks the workspace by seq and hashes every id: an index by bucket would cost every write, for a read that repairs what never breaks.
const BUCKET = lookup('bucket_page', pageOf(`NOT t.deleted AND ${BUCKET_OF_TASK} = $5`));

/** How many changes, and how many bytes of them; at least one change fits. */
export interface PageSize {
  limit: number;
  maxBytes: number;
}

/** At most so many tasks that changed after a seq, by seq. @throws an Error for a workspace that does not exist */
export async function readPage(
  database: Database,
  workspaceId: string,
  { seq, liveUntil, bucket }: PageStart,
  { limit, maxBytes, separator }: PageSize & { separator: string },
): Promise<PageText> {
  const [statement, filter] = bucket === undefined ? [FEED, liveUntil] : [BUCKET, bucket];
  const [row] = await database.pipeline((session, sendCommit) => {
    const bind = [workspaceId, seq, limit, separator, filter, maxBytes];
    const reading = session.run<PageText>(statement, bind);
    sendCommit();
    return reading;
  });
  if (row === undefined) throw new Error(`workspace ${workspaceId} does not exist`);
  return row;
}
