// What the workspaces of this process have reached. Wake-ups are hints: who hears one looks for himself (I12). What they did not tell (a Redis
// restart loses them) is found by one look of the whole process at the database every few seconds, however many are waiting; it also finds a
// database that is on another time line where nobody reads.
import { describeError, type Logger } from '../logger.js';
import type { WakeUp } from '../queue/wakeUps.js';
import { shareUnfinished } from '../shareUnfinished.js';
import type { Database } from '../storage/database.js';
import { readReached } from '../storage/readChanges.js';
import type { TimeLine } from '../timeLine.js';
import { createLevelWaiter, type LevelWaiter } from './levelWaiter.js';

/** A change that no wake-up announced is noticed within this time. */
const LOOK_EVERY_MS = 2_000;
/** Wake-ups of another time line are a reason to look, however many there are, no more often than this. */
const LOOK_AGAIN_MS = 500;

export interface LevelSubscriber {
  /** A wake-up says that there is something. */
  onWakeUp(wakeUp: WakeUp): void;
  /** A look found this seq; by now it may be higher. */
  onLook(seq: number): void;
}

export interface Levels {
  /** Waits for operations to be settled, by operation id. */
  readonly settled: LevelWaiter;
  /** Waits for changes, by seq. */
  readonly seqs: LevelWaiter;
  /** Takes a wake-up. */
  receive(wakeUp: WakeUp): void;
  /** Tells of a workspace. @returns how to stop that */
  subscribe(workspaceId: string, subscriber: LevelSubscriber): () => void;
  /** Ends the looks. */
  close(): void;
}

export function createLevels(database: Database, timeLine: TimeLine, logger: Logger): Levels {
  const settled = createLevelWaiter();
  const seqs = createLevelWaiter();
  const subscribers = new Map<string, Set<LevelSubscriber>>();
  let lookedAtMs = Number.NEGATIVE_INFINITY;

  const subscribersOf = (workspaceId: string) => [...(subscribers.get(workspaceId) ?? [])];

  const look = shareUnfinished(async () => {
    lookedAtMs = performance.now();
    const workspaceIds = [...new Set([...seqs.watched(), ...subscribers.keys()])];
    try {
      const reached = await timeLine.follow(() => readReached(database, workspaceIds));
      database.sawOperation(reached.lastOperationId ?? 0);
      for (const [workspaceId, seq] of Object.entries(reached.seqs ?? {})) {
        seqs.wake(workspaceId, seq);
        for (const subscriber of subscribersOf(workspaceId)) subscriber.onLook(seq);
      }
    } catch (error) {
      logger.debug('changes: the database does not answer', describeError(error));
    }
  });
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  timeLine.onChange(() => {
    // Whatever they wait for, it is for something that may never have happened.
    settled.wakeAll();
    seqs.wakeAll();
  });
  return {
    settled,
    seqs,
    receive(wakeUp) {
      const { workspaceId, seq, settledUpTo, incarnation } = wakeUp;
      if (incarnation !== timeLine.current()) {
        if (performance.now() - lookedAtMs >= LOOK_AGAIN_MS) void look();
        return;
      }
      settled.wake(workspaceId, settledUpTo);
      seqs.wake(workspaceId, seq);
      for (const subscriber of subscribersOf(workspaceId)) subscriber.onWakeUp(wakeUp);
    },
    subscribe(workspaceId, subscriber) {
      const ofWorkspace = subscribers.get(workspaceId) ?? new Set();
      subscribers.set(workspaceId, ofWorkspace.add(subscriber));
      return () => {
        ofWorkspace.delete(subscriber);
        if (ofWorkspace.size === 0 && subscribers.get(workspaceId) === ofWorkspace) subscribers.delete(workspaceId);
      };
    },
    close: () => clearInterval(timer),
  };
}
