// Processes that the suite starts: the product's own entry files and the peers, each with a log file that is quoted when it fails.
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Child, spawnChild } from '../src/embedded/child.js';
import type { Releasers } from '../src/embedded/releasers.js';
import { plainEnvironment } from './environment.js';
import type { Servers } from './servers.js';

/** The compiled files: dist/. */
const BUILD_FOLDER = fileURLToPath(new URL('..', import.meta.url));
/** The sources: what is not compiled, like the peers, is there. */
export const ROOT_FOLDER = fileURLToPath(new URL('../..', import.meta.url));
const STOP_LIMIT_MS = 15_000;
const POLL_MS = 25;
const LAST_WORDS = 800;

export interface RunningProcess {
  name: string;
  pid: number;
  /** Resolves once `isUp` says so. @throws an Error with the end of its log when it has ended before, or not within `limitMs` */
  waitUntil(isUp: (log: string) => boolean | Promise<boolean>, limitMs: number): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts `file` with this Node.
 * @param options.file absolute, or below dist/
 */
export function startProcess(
  context: { servers: Servers; releasers: Releasers; signal: AbortSignal },
  options: { name: string; file: string; env: NodeJS.ProcessEnv; parameters?: string[] },
): RunningProcess {
  const { name } = options;
  const { servers, releasers, signal } = context;
  const logFile = join(servers.folder, `${name.replaceAll(/\W+/g, '-')}.log`);
  const file = options.file.startsWith('/') ? options.file : join(BUILD_FOLDER, options.file);
  const child = spawnChild({
    name,
    command: process.execPath,
    parameters: [file, ...(options.parameters ?? [])],
    env: { ...plainEnvironment, ...options.env },
    logFile,
    stopSignal: 'SIGTERM',
    // Not where a developer's .env lies.
    cwd: servers.folder,
  });
  servers.track(child);
  const stop = async () => void (await child.stop(STOP_LIMIT_MS));
  releasers.push(stop);
  const waitUntil: RunningProcess['waitUntil'] = (isUp, limitMs) => waitFor(child, logFile, isUp, limitMs, signal);
  return { name, pid: child.pid ?? 0, waitUntil, stop };
}

async function waitFor(
  child: Child,
  logFile: string,
  isUp: (log: string) => boolean | Promise<boolean>,
  limitMs: number,
  signal: AbortSignal,
) {
  const log = () => readFileSync(logFile, 'utf8');
  for (const until = Date.now() + limitMs; !(await isUp(log())); await sleep(POLL_MS)) {
    signal.throwIfAborted();
    const isLate = Date.now() > until;
    if (!isLate && !child.hasExited()) continue;
    const what = isLate ? `is not up after ${limitMs} ms` : 'has ended';
    throw new Error(`${child.name} ${what}: ${log().slice(-LAST_WORDS).trim() || 'it has said nothing'}`);
  }
}

/** Whether a GET is answered with 200. */
export function answersOk(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(url, { agent: false, timeout: 5_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.once('timeout', () => asked.destroy());
    asked.once('error', () => resolve(false));
    asked.end();
  });
}
