// Waiting until a workspace has reached a level: operations settled up to an id, or changes up to a seq. Wake-ups raise the level; a
// wake-up may be lost, so whoever waits looks for himself now and then, or is told by somebody who does. It may also be wrong: a level that was
// heard of is a reason to look, no more, and to one who found nothing the next one is told later and later (I12).

export interface LevelWaiter {
  /** The workspace has reached this level: everyone who waits for it or less goes on. */
  wake(workspaceId: string, level: number): void;
  /** Everyone goes on, whatever he waits for. */
  wakeAll(): void;
  /** Starts listening now, so that nothing is missed between looking and waiting. */
  watch(workspaceId: string, level: number): Watch;
  /** The workspaces that somebody watches. */
  watched(): string[];
}

export interface Watch {
  /** Resolves when the level is reached (at once if that was since the last call), after `timeoutMs`, or when `signal` aborts. */
  next(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Stops listening; must be called. */
  end(): void;
}

export function createLevelWaiter(): LevelWaiter {
  const watchers = new Map<string, Set<(level: number) => void>>();

  const wake = (workspaceId: string, level: number) => {
    for (const notify of watchers.get(workspaceId) ?? []) notify(level);
  };
  return {
    wake,
    wakeAll() {
      for (const workspaceId of watchers.keys()) wake(workspaceId, Number.POSITIVE_INFINITY);
    },
    watched: () => [...watchers.keys()],
    watch(workspaceId, level) {
      const ofWorkspace = watchers.get(workspaceId) ?? new Set();
      const bell = createBell();
      const notify = (reached: number) => {
        if (reached >= level) bell.ring();
      };
      watchers.set(workspaceId, ofWorkspace.add(notify));
      return {
        next: bell.next,
        end() {
          ofWorkspace.delete(notify);
          if (ofWorkspace.size === 0 && watchers.get(workspaceId) === ofWorkspace) watchers.delete(workspaceId);
        },
      };
    },
  };
}

/** After a first look in vain the next is this much later, and twice as much each time ... */
const REST_MIN_MS = 10;
/** ... up to this. */
const REST_MAX_MS = 2_000;

/**
 * One waiter at a time; a ring that nobody waited for is kept for the next one. The first ring is heard at once. Who waits on after it has looked
 * in vain: he hears the next one after a rest, however often it rings.
 */
function createBell() {
  let isRung = false;
  let resume: (() => void) | undefined;
  let restMs = 0;
  let restsUntil = 0;

  /** Resolves when what `begin` gets is called, after `timeoutMs`, or when `signal` aborts. */
  async function pause(timeoutMs: number, signal: AbortSignal, begin: (end: () => void) => void) {
    let end = () => {};
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      end = () => {
        clearTimeout(timer);
        resolve();
      };
      begin(end);
      signal.addEventListener('abort', end);
    });
    signal.removeEventListener('abort', end);
  }

  return {
    ring() {
      isRung = true;
      resume?.();
    },
    async next(timeoutMs: number, signal: AbortSignal) {
      const deadline = performance.now() + timeoutMs;
      const remainingMs = (until: number) => Math.max(0, Math.min(deadline, until) - performance.now());
      if (restsUntil > performance.now() && !signal.aborted) {
        await pause(remainingMs(restsUntil), signal, () => undefined);
      }
      if (!isRung && !signal.aborted) {
        await pause(remainingMs(deadline), signal, (end) => {
          resume = end;
        });
        resume = undefined;
      }
      if (isRung) {
        restMs = Math.min(REST_MAX_MS, Math.max(REST_MIN_MS, restMs * 2));
        restsUntil = performance.now() + restMs;
      }
      isRung = false;
    },
  };
}
