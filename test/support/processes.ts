// Real processes for tests, started as the product starts them: their output is collected, shown when a test fails, and none outlives its test.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { forgetCleanup, registerCleanup } from './cleanup.js';
import { plainEnvironment, requireRunFolder } from './environment.js';

const POLL_MS = 25;
/** A process starts within a second or two, and where others keep the machine busy within half a minute. */
const WAIT_LIMIT_MS = 90_000;
const STOP_LIMIT_MS = 20_000;
/** Of each process, when a test fails. */
const SHOWN_LINES = 60;
/** Of a process whose output goes to a file. */
const KEPT_CHARS = 200_000;
/** The compiled files: dist/. */
const BUILD_FOLDER = new URL('../../', import.meta.url);

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface TestProcess {
  name: string;
  pid: number;
  /** Everything it has written to stdout and stderr. */
  output(): string;
  exited: Promise<Exit>;
  /** The first match in the output, now or within `limitMs`; fails when the process ends before. */
  waitForOutput(pattern: RegExp, limitMs?: number): Promise<RegExpMatchArray>;
  /** Until a GET answers with this status (200). */
  waitForHttp(url: string, status?: number, limitMs?: number): Promise<void>;
  /** Asks it to end and returns how it did. A process that does not is killed, and the test fails. */
  stop(signal?: NodeJS.Signals, limitMs?: number): Promise<Exit>;
  /** Kill -9: no process can say anything to that. */
  kill(): Promise<Exit>;
  /** Sends a signal that need not end it, like SIGSTOP. */
  signal(signal: NodeJS.Signals): void;
  hasExited(): boolean;
}

const running = new Set<TestProcess>();

/**
 * Starts an entry file of the product.
 * @param options.entry below dist/, like "src/api/main.js"
 * @param options.env what configures it; the rest of its environment is that of a fresh shell
 * @param options.logFile gets its output; then only the end of it is kept in memory
 * @param options.nodeParameters what stands before the entry file, like `--import`
 */
export function startProcess(options: {
  entry: string;
  env: NodeJS.ProcessEnv;
  name: string;
  parameters?: string[];
  nodeParameters?: string[];
  logFile?: string;
}): TestProcess {
  const entry = fileURLToPath(new URL(options.entry, BUILD_FOLDER));
  const child = spawn(process.execPath, [...(options.nodeParameters ?? []), entry, ...(options.parameters ?? [])], {
    env: { ...plainEnvironment(), ...options.env },
    // Not where a developer's .env lies.
    cwd: requireRunFolder(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${options.name} could not be started: ${entry}`);
  let text = '';
  let ended = false;
  const log = options.logFile === undefined ? undefined : createWriteStream(options.logFile, { flags: 'a' });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
      log?.write(chunk);
      if (log !== undefined && text.length > 2 * KEPT_CHARS) text = text.slice(-KEPT_CHARS);
    });
  }
  child.once('close', () => log?.end());
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      ended = true;
      resolve({ code, signal });
    });
  });

  async function waitUntil<T>(what: string, check: () => Promise<T | undefined> | T | undefined, limitMs: number) {
    for (const until = Date.now() + limitMs; ; await sleep(POLL_MS)) {
      const found = await check();
      if (found !== undefined) return found;
      if (ended) throw new Error(`${options.name} ended before ${what}:\n${text}`);
      if (Date.now() > until) throw new Error(`${options.name}: no ${what} within ${limitMs} ms:\n${text}`);
    }
  }

  const handle: TestProcess = {
    name: options.name,
    pid,
    output: () => text,
    exited,
    waitForOutput: (pattern, limitMs = WAIT_LIMIT_MS) =>
      waitUntil(`output like ${pattern}`, () => text.match(pattern) ?? undefined, limitMs),
    waitForHttp: async (url, status = 200, limitMs = WAIT_LIMIT_MS) => {
      await waitUntil(
        `${status} from ${url}`,
        async () => ((await statusOf(url)) === status ? true : undefined),
        limitMs,
      );
    },
    stop: async (signal = 'SIGTERM', limitMs = STOP_LIMIT_MS) => {
      child.kill(signal);
      const timer = new AbortController();
      const late = sleep(limitMs, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const);
      const exit = await Promise.race([exited, late]);
      timer.abort();
      if (exit !== 'late') return exit;
      await handle.kill();
      throw new Error(`${options.name} did not end within ${limitMs} ms of ${signal}:\n${text}`);
    },
    kill: () => {
      child.kill('SIGKILL');
      return exited;
    },
    signal: (signal) => void child.kill(signal),
    hasExited: () => ended,
  };
  running.add(handle);
  registerCleanup(handle, async () => void (await handle.kill()));
  void exited.then(() => forgetCleanup(handle));
  return handle;
}

/** What the processes of a failed test have said, and which of them still run. */
export function describeProcesses(): string {
  return [...running]
    .map(
      ({ name, pid, output }) => `--- ${name} (process ${pid})\n${output().split('\n').slice(-SHOWN_LINES).join('\n')}`,
    )
    .join('\n');
}

/** Forgets the output of the processes so far: the next file has its own. */
export function forgetProcesses(): void {
  running.clear();
}

async function statusOf(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000), headers: { connection: 'close' } });
    await response.body?.cancel();
    return response.status;
  } catch {
    return undefined;
  }
}
