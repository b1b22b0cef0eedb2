// The change feed as routes use it: cursors become positions and back, and pages are cut so that nothing is skipped or shown twice.
import { ApiError } from '../errors.js';
import type { Database } from '../storage/database.js';
import { FeedCompacted, readFeedHead } from '../storage/readChanges.js';
import type { WrittenTask } from '../storage/writeTask.js';
import { type FeedPosition, feedScope, readCursor, writeCursor } from '../sync/cursor.js';
import { invalidRequest } from './request.js';
import type { PageForm, ReadPage } from './sharedPages.js';

export interface Feed {
  workspaceId: string;
  /** What cursors of this feed carry. */
  scope: string;
  /** Only the live tasks of this bucket of the digest; undefined: the whole feed. */
  bucket: number | undefined;
  /** Where this reader stands. */
  position: FeedPosition;
  /** The workspace's last seq when the feed was opened. */
  headSeq: number;
}

/**
 * Opens a feed at a cursor, or at its beginning to bootstrap.
 * @param bucket reads only the live tasks of this bucket of the digest; its cursors continue nothing else
 * @throws ApiError invalid_request for a text that is no cursor, cursor_expired for one that cannot be continued
 */
export async function openFeed(
  database: Database,
  workspaceId: string,
  cursor: string | undefined,
  bucket?: number,
): Promise<Feed> {
  const sent = cursor === undefined ? undefined : readCursor(cursor);
  if (cursor !== undefined && sent === undefined) {
    throw invalidRequest([
      { field: 'cursor', message: 'cursor is not one that this server gave; leave it out to bootstrap' },
    ]);
  }
  const head = await readFeedHead(database, workspaceId);
  const scope = feedScope(head.incarnation, workspaceId, bucket);
  const feed = { workspaceId, scope, bucket, headSeq: head.seq };
  if (sent === undefined) return { ...feed, position: { seq: 0, liveUntil: head.seq } };
  if (sent.scope !== scope || sent.seq > head.seq) throw expired(FOREIGN);
  if (bucket !== undefined) return { ...feed, position: { seq: sent.seq, liveUntil: 0 } };
  // A bootstrap under way may be below the floor: it reads no tombstones from before its beginning.
  if (Math.max(sent.seq, sent.liveUntil) < head.floorSeq) throw expired(COMPACTED);
  return { ...feed, position: { seq: sent.seq, liveUntil: sent.liveUntil } };
}

const FOREIGN = 'it belongs to another database, workspace or bucket';
const COMPACTED = 'deletions after it were compacted';

function expired(why: string): ApiError {
  return new ApiError(
    'cursor_expired',
    `The feed cannot be continued from this cursor: ${why}. Bootstrap without a cursor, then drop the local tasks that it did not list, keeping edits that were not pushed yet.`,
  );
}

export interface FeedPage {
  /** The changes as JSON, as the form says; shared, not to be changed. */
  bytes: Buffer;
  count: number;
  hasMore: boolean;
  /** The feed behind this page. */
  next: Feed;
}

/**
 * Reads at most `limit` changes from where the feed stands.
 * @throws ApiError cursor_expired when compaction has passed it meanwhile
 */
export async function readFeedPage(readPage: ReadPage, feed: Feed, form: PageForm): Promise<FeedPage> {
  const { workspaceId, bucket, position } = feed;
  const page = await readPage(workspaceId, { ...position, bucket }, form).catch((error: unknown) => {
    throw error instanceof FeedCompacted ? expired(COMPACTED) : error;
  });
  const { bytes, count, hasMore } = page;
  const lastSeq = page.lastSeq ?? position.seq;
  // The head was read before the page: at the end of the feed everything up to it has been seen, tombstones left out included.
  const seq = hasMore ? lastSeq : Math.max(lastSeq, feed.headSeq);
  const liveUntil = seq >= position.liveUntil ? 0 : position.liveUntil;
  return { bytes, count, hasMore, next: { ...feed, position: { seq, liveUntil } } };
}

/** Makes the cursors of a workspace's seqs. @param incarnation see FeedHead */
export function cursorsOf(incarnation: string, workspaceId: string): (seq: number) => string {
  const scope = feedScope(incarnation, workspaceId);
  return (seq) => writeCursor({ seq, liveUntil: 0 }, scope);
}

/** The cursor at which a direct write is visible: that of the workspace's last change when it was committed. */
export function cursorOfWrite(workspaceId: string, { task, incarnation }: WrittenTask): string {
  return writeCursor({ seq: task.seq, liveUntil: 0 }, feedScope(incarnation, workspaceId));
}

/** The cursor of where a feed stands. */
export function cursorOf(feed: Feed): string {
  return writeCursor(feed.position, feed.scope);
}
