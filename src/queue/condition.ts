// What a process knows of its queue from the answers it got: away, refusing jobs, or fine. Logs each change once.
import { ALL_CLEAR, describeError, type Logger } from '../logger.js';
import { endsWithProbe, readRefusal } from './writeProbe.js';

export type QueueState = 'up' | 'down' | 'full' | 'refusing';

/** A question, a write that only tries whether writes work, or a job. */
export type Use = 'question' | 'probe' | 'job';

export interface QueueCondition {
  state(): QueueState;
  /** The code by which Redis refuses jobs, like READONLY; undefined unless it does. */
  refusal(): string | undefined;
  /** For how long jobs have not been taken, in ms; undefined while they are. */
  downForMs(): number | undefined;
  succeeded(use: Use): void;
  failed(error: unknown, use: Use): void;
}

/** A refusal whose connection was just made anew is still that refusal. */
const AWAY_AFTER_MS = 3_000;

export function createQueueCondition(logger: Logger): QueueCondition {
  // Not the time of day: that may be set back in between.
  const nowMs = () => performance.now();
  let downSinceMs: number | undefined;
  let awaySinceMs: number | undefined;
  let refusal: string | undefined;

  const isAway = () => awaySinceMs !== undefined && (refusal === undefined || nowMs() - awaySinceMs >= AWAY_AFTER_MS);
  return {
    state() {
      if (isAway()) return 'down';
      if (refusal === undefined) return 'up';
      return refusal === 'OOM' ? 'full' : 'refusing';
    },
    refusal: () => (isAway() ? undefined : refusal),
    downForMs: () => (downSinceMs === undefined ? undefined : nowMs() - downSinceMs),
    succeeded(use) {
      awaySinceMs = undefined;
      if (refusal !== undefined && (use === 'job' || (use === 'probe' && endsWithProbe(refusal)))) refusal = undefined;
      if (refusal !== undefined || downSinceMs === undefined) return;
      logger.info('the queue takes jobs again', { ...ALL_CLEAR, downMs: Math.round(nowMs() - downSinceMs) });
      downSinceMs = undefined;
    },
    failed(error, use) {
      const code = use === 'question' ? undefined : readRefusal(error);
      if (code === undefined) {
        if (downSinceMs === undefined)
          logger.warn('the queue does not answer; operations wait in PostgreSQL', describeError(error));
        awaySinceMs ??= nowMs();
      } else {
        if (code !== refusal)
          logger.warn('Redis refuses jobs; operations wait in PostgreSQL', { ...describeError(error), code });
        awaySinceMs = undefined;
        refusal = code;
      }
      downSinceMs ??= nowMs();
    },
  };
}
