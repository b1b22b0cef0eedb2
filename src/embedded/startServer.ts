// Starts a server on a free port and waits until it answers. Between finding a free port and using it another program may take it, so a
// server that ends before it ever answered gets another port and another try. Either it runs when this returns, or nothing is left of it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from './child.js';
import { listenForLastWords } from './logFile.js';
import { findFreePort } from './ports.js';
import { StartError } from './startError.js';

const ATTEMPTS = 3;
/** Also the time in which the processes of a killed predecessor get out of the way. */
const BETWEEN_ATTEMPTS_MS = 500;
const POLL_MS = 25;
/** Recovery after a power cut replays the log: minutes on a slow disk, not seconds. */
const READY_LIMIT_MS = 300_000;
const STOP_LIMIT_MS = 5_000;

/**
 * @param options.answers true when the server on this port does its work; false while it is still coming up.
 * @throws StartError if it does not come up, with the last line of its log; what the signal was aborted with, if it was.
 */
export async function startServer(options: {
  name: string;
  logFile: string;
  spawn(port: number): Child;
  answers(port: number): Promise<boolean>;
  signal: AbortSignal;
}): Promise<{ port: number; child: Child }> {
  const { name, logFile, signal } = options;
  const lastWords = listenForLastWords(logFile);
  let how = '';
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    signal.throwIfAborted();
    const port = await findFreePort();
    const child = options.spawn(port);
    try {
      if (await becomesReady(child, () => options.answers(port), signal)) return { port, child };
    } catch (error) {
      await child.stop(STOP_LIMIT_MS);
      throw error;
    }
    how = await child.exited;
    await sleep(BETWEEN_ATTEMPTS_MS);
  }
  throw new StartError(`${name} does not start (${how}; its log is ${logFile}). Last words: ${lastWords()}`);
}

/** True when it answers, false when it has ended. */
async function becomesReady(child: Child, answers: () => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  const until = Date.now() + READY_LIMIT_MS;
  while (!child.hasExited()) {
    signal.throwIfAborted();
    if (await answers()) return true;
    if (Date.now() > until) {
      throw new StartError(`${child.name} has not answered for ${READY_LIMIT_MS / 60_000} minutes and was stopped.`);
    }
    await sleep(POLL_MS);
  }
  return false;
}
