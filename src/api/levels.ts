// What the workspaces of this process have reached, from wake-ups, and from one look of the whole process at the database every few
// seconds for what no wake-up told (a Redis restart loses them), however many are waiting.
import { describeError, type Logger } from '../logger.js';
import type { WakeUp } from '../queue/wakeUps.js';
import type { Database } from '../storage/database.js';
import { readSeqs } from '../storage/readChanges.js';
import { createLevelWaiter, type LevelWaiter } from './levelWaiter.js';

/** A change that no wake-up announced is noticed within this time. */
const LOOK_EVERY_MS = 2_000;

export interface Levels {
  /** Waits for operations to be settled, by operation id. */
  readonly settled: LevelWaiter;
  /** Waits for changes, by seq. */
  readonly seqs: LevelWaiter;
  /** Takes a wake-up. */
  receive(wakeUp: WakeUp): void;
  /** Calls `onWakeUp` for each wake-up of a workspace, and when a look found its seq. @returns how to stop that */
  subscribe(workspaceId: string, onWakeUp: (wakeUp: WakeUp) => void): () => void;
  /** Ends the looks. */
  close(): void;
}

export function createLevels(database: Database, logger: Logger): Levels {
  const settled = createLevelWaiter();
  const seqs = createLevelWaiter();
  const subscribers = new Map<string, Set<(wakeUp: WakeUp) => void>>();

  function receive(wakeUp: WakeUp) {
    const { workspaceId, seq, settledUpTo } = wakeUp;
    settled.wake(workspaceId, settledUpTo);
    seqs.wake(workspaceId, seq);
    for (const onWakeUp of [...(subscribers.get(workspaceId) ?? [])]) onWakeUp(wakeUp);
  }

  async function look() {
    const workspaceIds = [...new Set([...seqs.watched(), ...subscribers.keys()])];
    if (workspaceIds.length === 0) return;
    try {
      for (const [workspaceId, seq] of await readSeqs(database, workspaceIds)) {
        receive({ workspaceId, seq, settledUpTo: 0, batchIds: [] });
      }
    } catch (error) {
      logger.debug('changes: the database does not answer', describeError(error));
    }
  }
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  return {
    settled,
    seqs,
    receive,
    subscribe(workspaceId, onWakeUp) {
      const ofWorkspace = subscribers.get(workspaceId) ?? new Set();
      subscribers.set(workspaceId, ofWorkspace.add(onWakeUp));
      return () => {
        ofWorkspace.delete(onWakeUp);
        if (ofWorkspace.size === 0 && subscribers.get(workspaceId) === ofWorkspace) subscribers.delete(workspaceId);
      };
    },
    close: () => clearInterval(timer),
  };
}
