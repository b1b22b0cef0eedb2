// A child process of the launcher: its output goes straight to a log file, so that it outlives a killed launcher, and it leads a process
// group of its own, so that a Ctrl-C in the terminal reaches the launcher alone and the order of stopping stays ours.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { killWithGroup, sendSignal } from './processIdentity.js';

/** How long a process may take to disappear after SIGKILL. */
const AFTER_KILL_MS = 5_000;

export interface ChildOptions {
  /** What people call it, at the start of a sentence: "PostgreSQL", "The API". */
  name: string;
  command: string;
  parameters: string[];
  env: NodeJS.ProcessEnv;
  logFile: string;
  /** The signal that asks it to stop. */
  stopSignal: NodeJS.Signals;
  cwd?: string;
  spawnAs?: { uid: number; gid: number };
  /** A channel on which the child can see that its launcher is gone ('disconnect'). */
  ipc?: boolean;
}

export interface Child {
  name: string;
  stopSignal: NodeJS.Signals;
  /** Undefined if the program could not be started. */
  pid: number | undefined;
  /** Settles when the process has ended, with how, in words: "exit code 1", "signal SIGKILL". */
  exited: Promise<string>;
  hasExited(): boolean;
  /** Asks it to stop, kills it after `limitMs`, and returns when it is gone, with whether it had to be killed. */
  stop(limitMs: number): Promise<'stopped' | 'killed'>;
}

/** Starts a process. It never throws: a program that cannot be started has exited, with the reason. */
export function spawnChild(options: ChildOptions): Child {
  const log = openSync(options.logFile, 'a');
  const child = spawn(options.command, options.parameters, {
    ...options.spawnAs,
    cwd: options.cwd,
    env: options.env,
    detached: process.platform !== 'win32',
    windowsHide: true,
    stdio: options.ipc ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
  });
  closeSync(log);
  let ended = false;
  const exited = describeExit(child).finally(() => {
    ended = true;
  });
  return {
    name: options.name,
    stopSignal: options.stopSignal,
    pid: child.pid,
    exited,
    hasExited: () => ended,
    stop: async (limitMs) => {
      if (child.pid === undefined || ended) return 'stopped';
      sendSignal(child.pid, options.stopSignal);
      await endsWithin(exited, limitMs);
      if (ended) return 'stopped';
      killWithGroup(child.pid);
      await endsWithin(exited, AFTER_KILL_MS);
      return 'killed';
    },
  };
}

/** Waits for a program that does one thing and ends, and returns how it ended; stops it when the signal says so, and throws its reason. */
export async function waitForEnd(child: Child, limitMs: number, signal: AbortSignal): Promise<string> {
  const stop = () => void child.stop(limitMs);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  const how = await child.exited;
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  return how;
}

function describeExit(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      // Also emitted when a message could not be sent to a running child: only a child without a pid never started.
      if (child.pid === undefined) resolve(error.message);
    });
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
}

async function endsWithin(exited: Promise<string>, limitMs: number): Promise<void> {
  const timer = new AbortController();
  await Promise.race([exited, sleep(limitMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
  timer.abort();
}
