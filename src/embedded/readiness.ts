// Waits until the API says that it is ready for work (GET /health/ready answers 200).
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { reachableHost } from './ports.js';
import { StartError } from './startError.js';

const POLL_MS = 50;
const ANSWER_LIMIT_MS = 5_000;
const READY_LIMIT_MS = 60_000;

/**
 * @throws StartError after a minute, with what the API said last; what the signal was aborted with, if it was.
 */
export async function waitUntilReady(options: {
  host: string;
  port: number;
  logFile: string;
  signal: AbortSignal;
}): Promise<void> {
  const until = Date.now() + READY_LIMIT_MS;
  for (;;) {
    options.signal.throwIfAborted();
    const answer = await askReadiness(options.host, options.port);
    if (answer === 200) return;
    if (Date.now() > until) {
      throw new StartError(
        `The API is not ready after ${READY_LIMIT_MS / 1_000} s (${answer}). Its log is ${options.logFile}`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** The status, or in words why there was none. */
function askReadiness(host: string, port: number): Promise<number | string> {
  return new Promise((resolve) => {
    const asked = request(
      { host: reachableHost(host), port, path: '/health/ready', agent: false, timeout: ANSWER_LIMIT_MS },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 'no status');
      },
    );
    asked.once('timeout', () => asked.destroy(new Error('no answer')));
    asked.once('error', (error) => resolve(error.message));
    asked.end();
  });
}
