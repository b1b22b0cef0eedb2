// The requests that wait for their operations. They are accepted and cost little, so one too many is not refused: it is answered at once,
// 202, which is the better answer under load. Their looks at the database are bounded as well, by looking less often the more they are.

export interface WaitingPlace {
  /** How long this request may wait: what it asked for, or 0. */
  waitMs: number;
  /** How often it looks for itself; wake-ups tell it earlier. */
  lookEveryMs: number;
  /** Gives the place back; must be called. */
  release(): void;
}

export interface WaitingPlaces {
  take(waitMs: number): WaitingPlace;
  count(): number;
}

/** Nobody waits longer than this for a wake-up before he looks for himself: wake-ups may be lost. */
const LOOK_EVERY_MS = 500;
/** Looks of a whole process a second, at most: some 1 ms of a connection each. */
const LOOKS_PER_SECOND = 200;

/** @param max how many may wait, SYNC_MAX_WAITING */
export function createWaitingPlaces(max: number): WaitingPlaces {
  let count = 0;
  return {
    count: () => count,
    take(waitMs) {
      if (waitMs === 0 || count >= max) return { waitMs: 0, lookEveryMs: LOOK_EVERY_MS, release: () => undefined };
      count += 1;
      let isHeld = true;
      return {
        waitMs,
        lookEveryMs: Math.max(LOOK_EVERY_MS, (count / LOOKS_PER_SECOND) * 1_000),
        release() {
          if (isHeld) count -= 1;
          isHeld = false;
        },
      };
    },
  };
}
