// The cursor of the change feed: how far a device has read, as an opaque text. It counts in the workspace's seq, never in time, so it
// skips nothing (I6); its scope ties it to one workspace in one incarnation of the database, so that no other feed takes it for its own.
import { createHash } from 'node:crypto';

export interface FeedPosition {
  /** Every change up to this seq has been read. */
  seq: number;
  /** While a device bootstraps: the seq at its beginning. Tombstones up to it are left out, because the device has nothing to delete. */
  liveUntil: number;
}

const TEXT = /^(\d{1,16})\.(\d{1,16})\.([\w-]{16})$/;

/** A short name for one workspace, or one bucket of it, in one incarnation of the database. */
export function feedScope(incarnation: string, workspaceId: string, bucket?: number): string {
  return createHash('sha256')
    .update(JSON.stringify(bucket === undefined ? [incarnation, workspaceId] : [incarnation, workspaceId, bucket]))
    .digest('base64url')
    .slice(0, 16);
}

/** The cursor of a position, for the feed of this scope. */
export function writeCursor(position: FeedPosition, scope: string): string {
  return Buffer.from(`${position.seq}.${position.liveUntil}.${scope}`).toString('base64url');
}

/** The position in a cursor, and the scope it belongs to; undefined for anything that writeCursor did not make. */
export function readCursor(cursor: string): (FeedPosition & { scope: string }) | undefined {
  const match = TEXT.exec(Buffer.from(cursor, 'base64url').toString());
  const [, seq, liveUntil, scope = ''] = match ?? [];
  const position = { seq: Number(seq), liveUntil: Number(liveUntil) };
  const isWhole = Number.isSafeInteger(position.seq) && Number.isSafeInteger(position.liveUntil);
  return isWhole ? { ...position, scope } : undefined;
}

/** The database is on another time line than the feed: what was read of the feed may not have happened there. */
export class FeedReplaced extends Error {
  override name = 'FeedReplaced';
}

/** The position is below the floor of the feed: deletions after it were compacted, and reading on would miss them. */
export class FeedCompacted extends Error {
  override name = 'FeedCompacted';
}

/** What a read has to be of, to continue a feed. */
export interface FeedPlace extends FeedPosition {
  incarnation: string;
  /** Tombstones are not read, as in a bucket. */
  withoutTombstones?: boolean;
}

/**
 * Whether what was read continues a feed from a place.
 * @param head of the feed, in the snapshot of the read
 * @throws FeedReplaced, also where the seq went back, as it does when old rows were put into the tables by hand; FeedCompacted
 */
export function requireSameFeed(head: { incarnation: string; seq: number; floorSeq: number }, place: FeedPlace): void {
  if (head.incarnation !== place.incarnation || head.seq < place.seq) throw new FeedReplaced();
  // A bootstrap under way may be below the floor: it reads no tombstones from before its beginning.
  if (!place.withoutTombstones && Math.max(place.seq, place.liveUntil) < head.floorSeq) throw new FeedCompacted();
}
