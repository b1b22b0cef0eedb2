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
