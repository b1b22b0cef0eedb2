// Waiting until a workspace has reached a level: operations settled up to an id, or changes up to a seq. Wake-ups raise the level; a
// wake-up may be lost, so whoever waits looks for himself now and then, or is told by somebody who does.

export interface LevelWaiter {
  /** The workspace has reached this level: everyone who waits for it or less goes on. */
  wake(workspaceId: string, level: number): void;
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

  return {
    wake(workspaceId, level) {
      for (const notify of watchers.get(workspaceId) ?? []) notify(level);
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

/** One waiter at a time; a ring that nobody waited for is kept for the next one. */
function createBell() {
  let isRung = false;
  let resume: (() => void) | undefined;
  return {
    ring() {
      isRung = true;
      resume?.();
    },
    async next(timeoutMs: number, signal: AbortSignal) {
      if (!isRung && !signal.aborted) {
        let wake = () => {};
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timeoutMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
          resume = wake;
          signal.addEventListener('abort', wake);
        });
        signal.removeEventListener('abort', wake);
        resume = undefined;
      }
      isRung = false;
    },
  };
}
