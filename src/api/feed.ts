// The change feed as routes use it: cursors become positions and back, and pages are cut so that nothing is skipped or shown twice.
import { ApiError } from '../errors.js';
import type { Database } from '../storage/database.js';
import { readFeedHead } from '../storage/readChanges.js';
import type { WrittenTask } from '../storage/writeTask.js';
import {
  FeedCompacted,
  type FeedPosition,
  FeedReplaced,
  feedScope,
  readCursor,
  requireSameFeed,
  writeCursor,
} from '../sync/cursor.js';
import type { TimeLine } from '../timeLine.js';
import { invalidRequest } from './request.js';
import type { PageForm, ReadPage } from './sharedPages.js';

export interface Feed {
  workspaceId: string;
  /** Of the database in which it was opened: see FeedHead. */
  incarnation: string;
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
  { database, timeLine }: { database: Database; timeLine: TimeLine },
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
  const head = await timeLine.follow(() => readFeedHead(database, workspaceId));
  const { incarnation } = head;
  const scope = feedScope(incarnation, workspaceId, bucket);
  const feed = { workspaceId, incarnation, scope, bucket, headSeq: head.seq };
  if (sent === undefined) return { ...feed, position: { seq: 0, liveUntil: head.seq } };
  if (sent.scope !== scope || sent.seq > head.seq) throw expired(FOREIGN);
  if (bucket !== undefined) return { ...feed, position: { seq: sent.seq, liveUntil: 0 } };
  // A bootstrap under way may be below the floor: it reads no tombstones from before its beginning.
  if (Math.max(sent.seq, sent.liveUntil) < head.floorSeq) throw expired(COMPACTED);
  return { ...feed, position: { seq: sent.seq, liveUntil: sent.liveUntil } };
}

const REPLACED = 'the database was restored from a backup, or a standby took over';
const FOREIGN = 'it belongs to another database, workspace or bucket';
const COMPACTED = 'deletions after it were compacted';

function expired(why: string): ApiError {
  return new ApiError(
    'cursor_expired',
    `The feed cannot be continued from this cursor: ${why}. Bootstrap without a cursor, then replace the local records by what it listed, keeping edits that were not pushed yet.`,
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
 * @throws ApiError cursor_expired when compaction has passed it meanwhile, or the database is another one
 */
export async function readFeedPage(readPage: ReadPage, feed: Feed, form: PageForm): Promise<FeedPage> {
  const { workspaceId, incarnation, bucket, position } = feed;
  const page = await readPage(workspaceId, { ...position, bucket, incarnation }, form);
  requireContinuation(page, { ...position, incarnation, withoutTombstones: bucket !== undefined });
  const { bytes, count, hasMore } = page;
  const lastSeq = page.lastSeq ?? position.seq;
  // At the end of the feed everything up to the head of that snapshot has been seen, tombstones left out included.
  const seq = hasMore ? lastSeq : Math.max(lastSeq, page.seq);
  const liveUntil = seq >= position.liveUntil ? 0 : position.liveUntil;
  return { bytes, count, hasMore, next: { ...feed, position: { seq, liveUntil } } };
}

/** Before something that was read is sent later. @throws ApiError cursor_expired when the database is another one by now */
export function requireCurrentFeed(timeLine: TimeLine, { incarnation }: Feed): void {
  if (timeLine.current() !== incarnation) throw expired(REPLACED);
}

/** @throws ApiError cursor_expired */
function requireContinuation(...read: Parameters<typeof requireSameFeed>) {
  try {
    requireSameFeed(...read);
  } catch (error) {
    if (error instanceof FeedReplaced) throw expired(REPLACED);
    throw error instanceof FeedCompacted ? expired(COMPACTED) : error;
  }
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
