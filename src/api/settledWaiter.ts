// Waiting for workers: requests register what they wait for, wake-ups resolve them. A wake-up may be lost, so nobody waits longer
// than a short while without looking for himself.
import type { WakeUp } from '../queue/wakeUps.js';

export interface SettledWaiter {
  /** Tells everyone who waits for operations that this wake-up covers. */
  wake(wakeUp: WakeUp): void;
  /**
   * Starts listening now, so that nothing is missed between storing and waiting.
   * @param upTo the operation id that is waited for
   */
  watch(workspaceId: string, upTo: number): Watch;
}

export interface Watch {
  /** Resolves at the next wake-up that covers the operation, after `timeoutMs`, or when `signal` aborts. */
  next(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Stops listening; must be called. */
  end(): void;
}

export function createSettledWaiter(): SettledWaiter {
  const watchers = new Map<string, Set<(settledUpTo: number) => void>>();

  return {
    wake({ workspaceId, settledUpTo }) {
      for (const notify of watchers.get(workspaceId) ?? []) notify(settledUpTo);
    },
    watch(workspaceId, upTo) {
      let isWoken = false;
      let resume: (() => void) | undefined;
      const notify = (settledUpTo: number) => {
        if (settledUpTo < upTo) return;
        isWoken = true;
        resume?.();
      };
      const ofWorkspace = watchers.get(workspaceId) ?? new Set();
      watchers.set(workspaceId, ofWorkspace.add(notify));
      return {
        async next(timeoutMs, signal) {
          if (!isWoken && !signal.aborted) {
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, timeoutMs);
              resume = () => {
                clearTimeout(timer);
                resolve();
              };
              signal.addEventListener('abort', resume, { once: true });
            });
            if (resume !== undefined) signal.removeEventListener('abort', resume);
          }
          isWoken = false;
          resume = undefined;
        },
        end() {
          ofWorkspace.delete(notify);
          if (ofWorkspace.size === 0 && watchers.get(workspaceId) === ofWorkspace) watchers.delete(workspaceId);
        },
      };
    },
  };
}
