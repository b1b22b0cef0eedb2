// The newest changes of a workspace, read once for all of its streams. A tail exists while somebody follows the workspace; its buffer is
// bounded, and who stands before it reads from the database until he has caught up.
import { describeError, type Logger } from '../logger.js';
import type { WakeUp } from '../queue/wakeUps.js';
import type { Database } from '../storage/database.js';
import { type BatchProgress, readBatchProgress } from '../storage/readBatch.js';
import { readChanges } from '../storage/readChanges.js';
import type { TaskView } from '../storage/taskView.js';
import type { Levels } from './levels.js';
import { createLevelWaiter } from './levelWaiter.js';

/** Changes kept for streams that are a little behind: at 300 bytes a task, some 300 KB a workspace. */
const BUFFERED = 1_000;
const READ = 500;
/** What one stream that is behind reads at once: with the longest descriptions about a megabyte. */
const READ_BEHIND = 50;

export interface Tail {
  /**
   * Some changes after a seq, in order; none means that there are none yet. Tombstones up to `liveUntil` may be left out.
   * @throws FeedCompacted
   */
  after(seq: number, liveUntil: number): Promise<TaskView[]>;
  /** Resolves when there may be changes after `seq`, when a batch moved, after `timeoutMs`, or when `signal` aborts. */
  wait(seq: number, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Stops following; must be called. */
  release(): void;
}

export interface Tails {
  /** Follows a workspace from `seq` on. @param onBatch is told how far batches are */
  follow(workspaceId: string, seq: number, onBatch: (progress: BatchProgress) => void): Tail;
}

export function createTails(database: Database, levels: Levels, logger: Logger): Tails {
  const open = new Map<string, ReturnType<typeof openTail>>();
  return {
    follow(workspaceId, seq, onBatch) {
      const shared = open.get(workspaceId) ?? openTail(database, levels, logger, workspaceId, seq);
      open.set(workspaceId, shared);
      shared.listeners.add(onBatch);
      return {
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

function openTail(database: Database, levels: Levels, logger: Logger, workspaceId: string, startSeq: number) {
  const listeners = new Set<(progress: BatchProgress) => void>();
  const waiter = createLevelWaiter();
  /** In order of seq, without a hole behind `floor`. */
  let buffer: TaskView[] = [];
  let floor = startSeq;
  /** The highest seq that was heard of, and the highest up to which the buffer is known to be complete. */
  let known = startSeq;
  let complete = startSeq;
  let reading: Promise<void> | undefined;

  const head = () => buffer.at(-1)?.seq ?? floor;

  async function readOn() {
    const heard = known;
    const found = await readChanges(database, workspaceId, { seq: head(), liveUntil: 0 }, READ);
    buffer.push(...found);
    const surplus = buffer.length - BUFFERED;
    if (surplus > 0) {
      floor = buffer[surplus - 1]?.seq ?? floor;
      buffer = buffer.slice(surplus);
    }
    complete = found.length < READ ? Math.max(heard, head()) : head();
    known = Math.max(known, head());
  }

  async function after(seq: number, liveUntil: number): Promise<TaskView[]> {
    if (seq >= head() && known > complete) {
      // One read for all streams that were woken together.
      reading ??= readOn().finally(() => {
        reading = undefined;
      });
      await reading;
    }
    if (seq < floor) return readChanges(database, workspaceId, { seq, liveUntil }, READ_BEHIND);
    return buffer.filter((task) => task.seq > seq).slice(0, READ);
  }

  function receive({ seq, batchIds }: WakeUp) {
    known = Math.max(known, seq);
    waiter.wake(workspaceId, known);
    if (batchIds.length > 0) void tellBatches(batchIds);
  }

  async function tellBatches(batchIds: string[]) {
    try {
      for (const progress of await readBatchProgress(database, workspaceId, batchIds)) {
        for (const listener of [...listeners]) listener(progress);
      }
      waiter.wake(workspaceId, Number.POSITIVE_INFINITY);
    } catch (error) {
      logger.debug('streams: no batch progress', describeError(error));
    }
  }
  const unsubscribe = levels.subscribe(workspaceId, receive);

  return {
    listeners,
    close: unsubscribe,
    after,
    async wait(seq: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
      if (head() > seq || known > complete) return;
      const watch = waiter.watch(workspaceId, seq + 1);
      try {
        await watch.next(timeoutMs, signal);
      } finally {
        watch.end();
      }
    },
  };
}
