// Starts mocha runs as child processes, side by side, and shows their output one after the other: the first that has not ended live, the
// others when it is their turn.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { killWithGroup, sendSignal } from '../../src/embedded/processIdentity.js';
import type { MochaCounts, MochaOrder, MochaProgress, MochaResult } from './mochaChild.js';

/** What processes of a stopped run get for ending in order. */
const STOP_LIMIT_MS = 15_000;
const CHILD = fileURLToPath(new URL('./mochaChild.js', import.meta.url));

export interface MochaRun {
  title: string;
  order: MochaOrder;
  env: NodeJS.ProcessEnv;
  limitMs: number;
}

/** Writes of several runs, each in one piece. */
export function createTurns(write: (text: string) => void) {
  const queue: { held: string; ended: boolean }[] = [];
  const advance = () => {
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      write(first.held);
      first.held = '';
      if (!first.ended) return;
      queue.shift();
    }
  };
  return {
    /** A place in the order; `end` hands over to the next one. */
    take() {
      const turn = { held: '', ended: false };
      queue.push(turn);
      return {
        write: (text: string) => {
          turn.held += text;
          advance();
        },
        end: () => {
          turn.ended = true;
          advance();
        },
      };
    },
  };
}

/** What a run has said of itself so far. */
function createProgress() {
  let counts: MochaCounts = { passed: 0, failed: 0, skipped: 0 };
  let running: { title: string; since: number } | undefined;
  let hasResult = false;
  const failures: string[] = [];
  return {
    counts: () => counts,
    hasResult: () => hasResult,
    receive(message: MochaProgress | MochaResult) {
      if ('result' in message) {
        counts = message.result;
        hasResult = true;
        return;
      }
      counts = message.counts;
      if (message.failure !== undefined) failures.push(message.failure);
      else running = message.running === undefined ? undefined : { title: message.running, since: performance.now() };
    },
    /** How far it had got, for a run that did not get to its own report. */
    describe(): string {
      const where =
        running === undefined
          ? 'between two tests'
          : `in "${running.title}", since ${((performance.now() - running.since) / 1_000).toFixed(1)} s`;
      const { passed, failed } = counts;
      const shown = failures.map((each, index) => `\n  ${index + 1}) ${each.replaceAll('\n', '\n     ')}\n`).join('');
      return `It was ${where}; until then ${passed} passed and ${failed} failed.\n${shown}`;
    },
  };
}

/** Runs mocha; a run that crashes, hangs or leaks counts as one more failure, says so and what it was doing, and keeps its counts. */
export async function runMocha(
  { title, order, env, limitMs }: MochaRun,
  turn: { write(text: string): void; end(): void },
  signal: AbortSignal,
): Promise<MochaCounts> {
  turn.write(`\n===== ${title} =====\n`);
  const child = fork(CHILD, [], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: process.platform !== 'win32',
  });
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', turn.write);
  const progress = createProgress();
  child.on('message', progress.receive);
  child.send(order);
  let fault: string | undefined;
  const stop = (why: string) => {
    fault ??= why;
    const { pid } = child;
    if (pid === undefined) return;
    sendSignal(-pid, 'SIGTERM');
    setTimeout(() => killWithGroup(pid), STOP_LIMIT_MS).unref();
  };
  const timer = setTimeout(() => stop(`did not end within ${limitMs / 1_000} s and was stopped`), limitMs);
  const abort = () => stop('was stopped');
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  const how = await new Promise<string>((resolve) => {
    child.once('close', (code, killedBy) => resolve(killedBy === null ? `exit code ${code}` : `signal ${killedBy}`));
  });
  clearTimeout(timer);
  signal.removeEventListener('abort', abort);
  fault ??= how === 'exit code 0' ? undefined : `ended with ${how}`;
  if (fault === undefined && !progress.hasResult()) fault = 'ended without a result';
  if (fault !== undefined) {
    turn.write(`\nThe run "${title}" ${fault}; that counts as one failure.\n`);
    if (!progress.hasResult()) turn.write(progress.describe());
  }
  turn.end();
  const { passed, failed, skipped } = progress.counts();
  return { passed, failed: failed + (fault === undefined ? 0 : 1), skipped };
}
