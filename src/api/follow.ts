// Following a feed live, whatever carries the events: changes chained by their cursors, and how far batches are. The reader's pace sets
// ours: at most one short read of changes waits for it, and one that takes nothing is told to start over and let go.
import type { BatchProgress } from '../storage/readBatch.js';
import { FeedCompacted, FeedReplaced } from '../sync/cursor.js';
import { fromMicros } from '../sync/timestamp.js';
import type { ApiDeps } from './deps.js';
import { cursorOf, type Feed, openFeed } from './feed.js';
import { presentTask } from './present.js';
import type { Tail } from './tails.js';

/** Batch events that wait for a slow reader; they are hints, and the newest count. */
const BATCHES_WAITING_MAX = 100;
/** At the latest after this a follower looks whether it is still wanted. */
const LOOK_EVERY_MS = 15_000;

export interface EventSink {
  /** Sends one event; `cursor` is where the reader stands after it. */
  send(name: 'ready' | 'change' | 'batch' | 'resync', data: object, cursor: string): void;
  /** Resolves when the reader has taken what was sent: true; false if it takes nothing for too long. */
  drained(signal: AbortSignal): Promise<boolean>;
}

/**
 * Opens the feed to follow. Without a cursor it begins now: who wants what is there already reads the feed first.
 * @throws ApiError as openFeed does
 */
export async function openLiveFeed(deps: ApiDeps, workspaceId: string, cursor: string | undefined): Promise<Feed> {
  const feed = await openFeed(deps, workspaceId, cursor);
  return cursor === undefined ? { ...feed, position: { seq: feed.headSeq, liveUntil: 0 } } : feed;
}

/** Why a stream ends that the reader could have gone on with: he was told to resync, or `signal` aborted. */
export type FollowEnd = 'aborted' | ResyncReason;

/** `too slow`: he comes back with his last cursor. The others have to bootstrap. */
type ResyncReason = 'too slow' | 'compacted' | 'restored';

/** Sends `ready`, then changes and batch progress until `signal` aborts, the reader is too slow, or the feed cannot be continued. */
export async function follow(deps: ApiDeps, sink: EventSink, start: Feed, signal: AbortSignal): Promise<FollowEnd> {
  const waiting: BatchProgress[] = [];
  const onBatch = (progress: BatchProgress) => {
    waiting.push(progress);
    if (waiting.length > BATCHES_WAITING_MAX) waiting.shift();
  };
  const tail = deps.tails.follow(start, onBatch);
  let at = { feed: start, cursor: cursorOf(start) };
  sink.send('ready', { cursor: at.cursor, server_time: fromMicros(deps.clock.nowMicros()) }, at.cursor);
  const resync = (reason: ResyncReason) => {
    sink.send('resync', { reason, cursor: at.cursor }, at.cursor);
    return reason;
  };
  try {
    while (!signal.aborted) {
      tail.requireCurrent();
      for (const progress of waiting.splice(0)) sink.send('batch', presentProgress(progress), at.cursor);
      const sent = await sendChanges(sink, tail, at, signal);
      at = sent.place;
      if (sent.isStuck) return resync('too slow');
      if (waiting.length === 0) await tail.wait(at.feed.position.seq, LOOK_EVERY_MS, signal);
    }
    return 'aborted';
  } catch (error) {
    // Compaction overtook a reader that was far behind.
    if (error instanceof FeedCompacted) return resync('compacted');
    if (error instanceof FeedReplaced) return resync('restored');
    throw error;
  } finally {
    tail.release();
  }
}

/** Where a reader stands, and the cursor it was last given. */
interface Place {
  feed: Feed;
  cursor: string;
}

/** Sends what there is, each change only when the one before has been taken: what waits for a slow reader is bounded in bytes. */
async function sendChanges(sink: EventSink, tail: Tail, from: Place, signal: AbortSignal) {
  let { feed, cursor } = from;
  const changes = await tail.after(feed.position.seq, feed.position.liveUntil);
  // Nothing but what a bootstrap leaves out: its end is reached, else it would be looked for again and again.
  if (changes.length === 0 && feed.position.seq < feed.position.liveUntil) {
    feed = { ...feed, position: { seq: feed.position.liveUntil, liveUntil: 0 } };
  }
  for (const task of changes) {
    if (!(await sink.drained(signal))) return { place: { feed, cursor }, isStuck: true };
    if (signal.aborted) break;
    tail.requireCurrent();
    const { liveUntil } = feed.position;
    feed = { ...feed, position: { seq: task.seq, liveUntil: task.seq >= liveUntil ? 0 : liveUntil } };
    // A bootstrap that continues live: what was deleted before it began is unknown to the device.
    if (task.deleted && task.seq <= liveUntil) continue;
    const next = cursorOf(feed);
    sink.send('change', { task: presentTask(task), cursor: next, prev_cursor: cursor }, next);
    cursor = next;
  }
  return { place: { feed, cursor }, isStuck: false };
}

function presentProgress({ batchId, total, pending }: BatchProgress) {
  const processed = total - pending;
  return {
    batch_id: batchId,
    processed,
    total,
    percent: Math.floor((processed / total) * 100),
    status: pending === 0 ? 'completed' : 'processing',
  };
}
