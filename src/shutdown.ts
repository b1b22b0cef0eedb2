// Ending a process in order: whatever was opened pushes its closer, and closers run last in, first out, within one time limit.
import { setMaxListeners } from 'node:events';
import { describeError, type Logger } from './logger.js';
import { onStopRequest } from './stopRequests.js';

export interface Shutdown {
  /** Registers a closer; the last one registered runs first. */
  push(name: string, close: () => Promise<void> | void): void;
  /** Aborted as soon as the process starts to end: waits and polls stop on it. */
  readonly signal: AbortSignal;
  /** Runs all closers, then sets the exit code. A closer that fails is logged, and the next one runs. */
  run(reason: string, exitCode?: number): Promise<void>;
}

/**
 * @param timeoutMs after this the process exits with code 1, whatever is still closing
 */
export function createShutdown(logger: Logger, timeoutMs: number): Shutdown {
  const closers: { name: string; close: () => Promise<void> | void }[] = [];
  const controller = new AbortController();
  // One listener for each waiting request; their number is bounded by the requests, not here.
  setMaxListeners(0, controller.signal);
  let running: Promise<void> | undefined;

  async function closeAll(reason: string, exitCode: number) {
    logger.info('stopping', { reason });
    const forced = setTimeout(() => {
      logger.error('stopping took too long, leaving now', { timeoutMs });
      process.exit(1);
    }, timeoutMs);
    controller.abort();
    for (const { name, close } of closers.reverse()) {
      try {
        await close();
      } catch (error) {
        logger.warn('could not close cleanly', { part: name, ...describeError(error) });
      }
    }
    clearTimeout(forced);
    logger.info('stopped');
    process.exitCode = exitCode;
  }

  return {
    push: (name, close) => void closers.push({ name, close }),
    signal: controller.signal,
    run(reason, exitCode = 0) {
      running ??= closeAll(reason, exitCode);
      return running;
    },
  };
}

/** Ends the process in order on a signal, or when the npm that ran it or the launcher that forked it is gone. */
export function stopOnSignals(shutdown: Shutdown): void {
  const stop = async (reason: string) => {
    await shutdown.run(reason);
    // Not left to an empty event loop: a client library that still tries to reach a server that is gone would keep it turning.
    process.exit();
  };
  onStopRequest((reason) => void stop(reason));
  if (process.connected) process.once('disconnect', () => void stop('the launcher is gone'));
}
