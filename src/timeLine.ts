// Which time line the database is on, as far as this process knows (I12). A failover to a standby that lags, or a restored backup, takes back what was
// committed: nothing that was read or heard before is true any more. So every read that serves a feed brings the incarnation in its own
// snapshot, and whoever keeps something by it is told when it changes.
import { describeError, type Logger } from './logger.js';
import { shareUnfinished } from './shareUnfinished.js';

export interface TimeLine {
  /** The incarnation of the database that was read last; see FeedHead. */
  current(): string;
  /** Runs a read that brings the incarnation of its snapshot, and takes note of it. @throws what `read` throws */
  follow<Found extends { incarnation: string }>(read: () => Promise<Found>): Promise<Found>;
  /** Calls `listener` when the database is another one. @returns how to stop that */
  onChange(listener: (incarnation: string) => void): () => void;
}

/** A process that reads nothing else notices another time line within this time. */
const LOOK_EVERY_MS = 2_000;

/** Looks now and then, for a process that reads nothing by which it would notice. @returns how to stop that */
export function watchTimeLine(timeLine: TimeLine, read: () => Promise<{ incarnation: string }>, logger: Logger) {
  const look = shareUnfinished(() =>
    timeLine.follow(read).then(
      () => undefined,
      (error: unknown) => logger.debug('time line: the database does not answer', describeError(error)),
    ),
  );
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  return () => clearInterval(timer);
}

/** @param incarnation as it was read at the start */
export function createTimeLine(incarnation: string, logger: Logger): TimeLine {
  const listeners = new Set<(incarnation: string) => void>();
  let current = incarnation;
  let changes = 0;

  function change(found: string) {
    logger.warn('the database is on another time line: a standby took over, or a backup was restored', {
      before: current,
      now: found,
    });
    current = found;
    changes += 1;
    for (const listener of [...listeners]) listener(found);
  }

  return {
    current: () => current,
    async follow(read) {
      const asked = changes;
      const found = await read();
      // An answer that was asked for before the last change may still come from the database that is gone.
      if (found.incarnation !== current && asked === changes) change(found.incarnation);
      return found;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
