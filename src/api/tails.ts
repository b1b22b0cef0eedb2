// The newest changes of a workspace, read once for all of its streams. A tail exists while somebody follows the workspace; its buffer is
// bounded, and who stands before it reads from the database until he has caught up. A tail belongs to one time line of the database: when a read
// or a look finds another one, it is over, with all that it holds (I12).
import { describeError, type Logger } from '../logger.js';
import type { WakeUp } from '../queue/wakeUps.js';
import type { Database } from '../storage/database.js';
import { type BatchProgress, readBatchProgress } from '../storage/readBatch.js';
import { type ChangesSize, readChanges } from '../storage/readChanges.js';
import type { TaskView } from '../storage/taskView.js';
import { FeedReplaced, requireSameFeed } from '../sync/cursor.js';
import type { TimeLine } from '../timeLine.js';
import type { Feed } from './feed.js';
import type { Levels } from './levels.js';
import { createLevelWaiter } from './levelWaiter.js';
import { createNews } from './news.js';

/** Changes kept for streams that are a little behind, and what their texts may take: at 300 bytes a task some 300 KB a workspace. */
const BUFFERED = 1_000;
const BUFFERED_CHARS = 2_097_152;
const READ = { limit: 500, maxBytes: 1_048_576 };
/** What one stream that is behind reads at once, and holds for as long as its reader takes: there may be thousands. */
const READ_BEHIND = { limit: 50, maxBytes: 131_072 };

/** Batches whose progress is still to be told; of more it is not: who wants to know asks. */
const UNTOLD_MAX = 500;

export interface Tail {
  /** @throws FeedReplaced when the database is on another time line: nothing of this one may be sent any more */
  requireCurrent(): void;
  /**
   * Some changes after a seq, in order; none means that there are none yet. Tombstones up to `liveUntil` may be left out.
   * @throws FeedReplaced, FeedCompacted
   */
  after(seq: number, liveUntil: number): Promise<TaskView[]>;
  /** Resolves when there may be changes after `seq`, when a batch moved, after `timeoutMs`, or when `signal` aborts. */
  wait(seq: number, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Stops following; must be called. */
  release(): void;
}

export interface Tails {
  /** Follows a feed from where it stands. @param onBatch is told how far batches are */
  follow(feed: Feed, onBatch: (progress: BatchProgress) => void): Tail;
}

export interface TailDeps {
  database: Database;
  timeLine: TimeLine;
  levels: Levels;
  logger: Logger;
}

export function createTails(deps: TailDeps): Tails {
  const open = new Map<string, ReturnType<typeof openTail>>();
  return {
    follow(feed, onBatch) {
      const { workspaceId, incarnation } = feed;
      const found = open.get(workspaceId);
      const shared = found?.incarnation === incarnation && !found.isOver() ? found : openTail(deps, feed);
      open.set(workspaceId, shared);
      shared.listeners.add(onBatch);
      return {
        requireCurrent: shared.requireCurrent,
        after: shared.after,
        wait: shared.wait,
        release() {
          shared.listeners.delete(onBatch);
          if (shared.listeners.size > 0) return;
          shared.close();
          if (open.get(workspaceId) === shared) open.delete(workspaceId);
        },
      };
    },
  };
}

function openTail({ database, timeLine, levels, logger }: TailDeps, { workspaceId, incarnation, ...start }: Feed) {
  const listeners = new Set<(progress: BatchProgress) => void>();
  const waiter = createLevelWaiter();
  /** In order of seq, without a hole behind `floor`. */
  let buffer: TaskView[] = [];
  let floor = Math.max(start.position.seq, start.headSeq);
  /** Everything up to this seq is known, by what a read found: never by what was heard. */
  let complete = floor;
  let reading: Promise<void> | undefined;
  let isReplaced = false;
  /** Batches of which somebody said that they moved. */
  const untold = new Set<string>();
  let isTelling = false;
  const news = createNews(waiter.wakeAll);

  const head = () => buffer.at(-1)?.seq ?? floor;
  /** What one is reading for all counts as news to the others: nobody tells them when it is there. */
  const hasNews = () => reading !== undefined || news.isThere();
  const isOver = () => isReplaced || timeLine.current() !== incarnation;

  function requireCurrent() {
    if (isOver()) throw new FeedReplaced();
  }

  function end() {
    isReplaced = true;
    buffer = [];
    waiter.wakeAll();
  }

  async function readFrom(seq: number, liveUntil: number, size: ChangesSize) {
    const found = await timeLine.follow(() => readChanges(database, workspaceId, { seq, liveUntil }, size));
    try {
      requireSameFeed(found, { seq, liveUntil, incarnation });
    } catch (error) {
      if (error instanceof FeedReplaced) end();
      throw error;
    }
    requireCurrent();
    return found;
  }

  async function readOn() {
    const found = await news.look(complete, async () => {
      const { changes, seq, hasMore } = await readFrom(complete, 0, READ);
      return { changes, reached: seq, seenUpTo: hasMore ? (changes.at(-1)?.seq ?? seq) : seq };
    });
    buffer.push(...found.changes);
    const surplus = surplusOf(buffer);
    if (surplus > 0) {
      floor = buffer[surplus - 1]?.seq ?? floor;
      buffer = buffer.slice(surplus);
    }
    complete = found.seenUpTo;
  }

  async function after(seq: number, liveUntil: number): Promise<TaskView[]> {
    requireCurrent();
    if (seq >= head() && hasNews()) {
      // One read for all streams that were woken together.
      reading ??= readOn().finally(() => {
        reading = undefined;
      });
      await reading;
    }
    if (seq < floor) return (await readFrom(seq, liveUntil, READ_BEHIND)).changes;
    return buffer.filter((task) => task.seq > seq).slice(0, READ.limit);
  }

  /** Tells how far they are, by one read at a time: what is heard meanwhile shares the next one. */
  async function tellBatches(batchIds: string[]) {
    for (const id of batchIds) if (untold.size < UNTOLD_MAX) untold.add(id);
    if (isTelling) return;
    isTelling = true;
    try {
      while (untold.size > 0 && listeners.size > 0) {
        const asked = [...untold];
        untold.clear();
        const found = await timeLine.follow(() => readBatchProgress(database, workspaceId, asked));
        if (found.incarnation !== incarnation || isOver()) return;
        for (const progress of found.batches) {
          for (const listener of [...listeners]) listener(progress);
        }
        waiter.wakeAll();
      }
    } catch (error) {
      logger.debug('streams: no batch progress', describeError(error));
    } finally {
      isTelling = false;
    }
  }

  const unsubscribe = levels.subscribe(workspaceId, {
    onWakeUp({ seq, batchIds }: WakeUp) {
      news.hear(seq, complete);
      if (batchIds.length > 0) void tellBatches(batchIds);
    },
    // A lower one may be older than what was read since; it may also be that the seq went back, which only a read can tell.
    onLook(seq) {
      if (seq !== complete) news.find();
    },
  });
  const stopWatching = timeLine.onChange(end);

  return {
    incarnation,
    isOver,
    listeners,
    requireCurrent,
    after,
    close() {
      unsubscribe();
      stopWatching();
      news.close();
    },
    async wait(seq: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
      if (isOver() || head() > seq || hasNews()) return;
      const watch = waiter.watch(workspaceId, seq + 1);
      try {
        await watch.next(timeoutMs, signal);
      } finally {
        watch.end();
      }
    },
  };
}

/** How many of the oldest changes are too many. */
function surplusOf(buffer: readonly TaskView[]): number {
  let chars = 0;
  let kept = 0;
  for (const { title, description } of buffer.toReversed()) {
    chars += title.length + (description?.length ?? 0);
    if (kept === BUFFERED || chars > BUFFERED_CHARS) break;
    kept += 1;
  }
  return buffer.length - kept;
}
