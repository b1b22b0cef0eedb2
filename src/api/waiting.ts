// How long a request waits for its operations, and the waiting itself.
import type { Request, Response } from 'express';
import type { Watch } from './levelWaiter.js';

/**
 * The wait that `Prefer` asks for (RFC 7240: `respond-async`, or `wait=N` in seconds), within the limits; says in the answer which
 * preference was followed.
 */
export function readWaitMs(
  request: Request,
  response: Response,
  limits: { waitMs: number; waitMaxMs: number },
): number {
  const preferences = (request.get('prefer') ?? '').split(/[,;]/).map((part) => part.trim().toLowerCase());
  const wait = preferences
    .map((part) => /^wait\s*=\s*"?(\d{1,6})"?$/.exec(part)?.[1])
    .find((seconds) => seconds !== undefined);
  if (preferences.includes('respond-async')) {
    response.append('Preference-Applied', 'respond-async');
    if (wait === undefined) return 0;
  }
  if (wait === undefined) return limits.waitMs;
  response.append('Preference-Applied', `wait=${wait}`);
  return Math.min(Number(wait) * 1_000, limits.waitMaxMs);
}

export interface WaitOptions {
  watch: Watch;
  /** Whether there is work that was dispatched just now: then the first look would come too early, so the wait comes first. */
  isNew: boolean;
  waitMs: number;
  /** After this long without a wake-up it looks for itself. */
  lookEveryMs: number;
  /** Ends the wait before its time. */
  signal: AbortSignal;
}

/**
 * Reads, and reads again at each wake-up, until `isDone` or until the time is over.
 * @returns what was read last
 */
export async function waitUntil<State>(
  read: () => Promise<State>,
  isDone: (state: State) => boolean,
  options: WaitOptions,
): Promise<State> {
  const deadline = performance.now() + options.waitMs;
  let remainingMs = options.waitMs;
  const pause = () => options.watch.next(Math.min(remainingMs, options.lookEveryMs), options.signal);
  if (options.isNew) await pause();
  for (;;) {
    const state = await read();
    remainingMs = deadline - performance.now();
    if (isDone(state) || remainingMs <= 0 || options.signal.aborted) return state;
    await pause();
  }
}

/**
 * A signal that aborts when the client or this process goes.
 * Made by hand: AbortSignal.any() would keep every request's signal alive as long as `stopping`, which is as long as the process.
 */
export function abortOnEnd(response: Response, stopping: AbortSignal): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const end = () => controller.abort();
  response.once('close', end);
  stopping.addEventListener('abort', end);
  // A response that has closed already will not say so again.
  if (stopping.aborted || response.destroyed) end();
  return {
    signal: controller.signal,
    dispose() {
      response.off('close', end);
      stopping.removeEventListener('abort', end);
    },
  };
}
