// The embedded Redis: a redis-server found on this machine, as a child on loopback with a password, an append-only file and noeviction, as
// BullMQ wants it. It carries wake-ups only (I1): if its data cannot be read, it starts with none and the reconciler makes up for it.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { type Child, spawnChild } from './child.js';
import { makeSecret, writePrivateFile } from './secret.js';
import { StartError } from './startError.js';
import { startServer } from './startServer.js';

/** The oldest version that BullMQ supports without restrictions. */
const OLDEST = [6, 2] as const;
const ANSWER_LIMIT_MS = 1_000;

export interface RedisProgram {
  path: string;
  version: string;
}

export interface RedisServer {
  /** It holds the password. */
  url: string;
  port: number;
  child: Child;
  /** Starts it again on the same port, after its process has ended. */
  restart(): Child;
}

export interface RedisOptions {
  program: RedisProgram;
  dataDir: string;
  logFile: string;
  env: NodeJS.ProcessEnv;
  track(child: Child): void;
  say(line: string): void;
  signal: AbortSignal;
}

/** The redis-server on PATH, or in words why there is none to use. */
export function findRedis(searchPath: string): RedisProgram | string {
  for (const folder of searchPath.split(delimiter).filter((each) => each !== '')) {
    const path = join(folder, 'redis-server');
    if (!isExecutable(path)) continue;
    const version = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout?.match(/v=(\d+\.\d+\.\d+)/)?.[1];
    if (version === undefined) return `${path} does not run`;
    if (isTooOld(version)) return `${path} is version ${version}, and BullMQ wants ${OLDEST.join('.')} or later`;
    return { path, version };
  }
  return 'no REDIS_URL, and no redis-server on PATH';
}

/**
 * Starts Redis on a free port with its data in DATA_DIR/redis.
 * @throws StartError with what to do; then no process is left.
 */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  try {
    return await startOnce(options);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const folder = join(options.dataDir, 'redis');
    // One is kept: it is for whoever wants to know what happened, nothing in it is needed.
    rmSync(`${folder}.unreadable`, { recursive: true, force: true });
    renameSync(folder, `${folder}.unreadable`);
    options.say(
      `${error.message}\nStarting Redis with an empty folder instead; nothing is lost, the truth is in PostgreSQL.`,
    );
    return startOnce(options);
  }
}

async function startOnce(options: RedisOptions): Promise<RedisServer> {
  const folder = join(options.dataDir, 'redis');
  const configFile = join(folder, 'redis.conf');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const password = makeSecret();
  const spawn = (port: number) => {
    writePrivateFile(configFile, describeConfig({ port, password, folder, logFile: options.logFile }));
    const child = spawnChild({
      name: 'Redis',
      command: options.program.path,
      parameters: [configFile],
      env: options.env,
      logFile: options.logFile,
      stopSignal: 'SIGTERM',
    });
    options.track(child);
    return child;
  };
  const answers = (port: number) => answersPing(port, password);
  const { port, child } = await startServer({ name: 'Redis', ...options, spawn, answers });
  return { url: `redis://:${password}@127.0.0.1:${port}`, port, child, restart: () => spawn(port) };
}

function describeConfig(given: { port: number; password: string; folder: string; logFile: string }): string {
  const lines = [
    'bind 127.0.0.1',
    `port ${given.port}`,
    `requirepass ${given.password}`,
    `dir ${JSON.stringify(given.folder)}`,
    `logfile ${JSON.stringify(given.logFile)}`,
    'daemonize no',
    'appendonly yes',
    'appendfsync everysec',
    // The append-only file is the data; snapshots beside it would only cost time.
    'save ""',
    'maxmemory-policy noeviction',
  ];
  return `${lines.join('\n')}\n`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}

/** While it loads its data Redis accepts connections and answers LOADING. */
function answersPing(port: number, password: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: ANSWER_LIMIT_MS });
    let received = '';
    const settle = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.on('data', (chunk) => {
      received += chunk;
      if (received.includes('+PONG')) settle(true);
      else if (received.includes('-')) settle(false);
    });
    for (const event of ['error', 'timeout', 'close']) socket.once(event, () => settle(false));
  });
}
