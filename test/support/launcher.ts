// `npm start` for tests: the launcher on a folder and a port of its own, with the queue backend of this run.
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Backend, plainEnvironment, requireRunFolder, requireSharedRedis } from './environment.js';
import { startProcess, type TestProcess } from './processes.js';
import { canStartRedis } from './redis.js';

const START_LIMIT_MS = 60_000;

/** What the launcher wrote down of a process that it started. */
export interface StartedChild {
  pid: number;
  name: string;
}

/** Starts the launcher without waiting for anything. */
export function startLauncher(options: {
  dataDir: string;
  port: number;
  backend: Backend;
  env?: NodeJS.ProcessEnv;
}): TestProcess {
  return startProcess({
    name: 'npm start',
    entry: 'src/embedded/main.js',
    env: { ...launcherEnvironment(options), ...options.env },
  });
}

/** What configures the launcher. */
export function launcherEnvironment(options: { dataDir: string; port: number; backend: Backend }): NodeJS.ProcessEnv {
  return { DATA_DIR: options.dataDir, PORT: String(options.port), ...environmentOf(options.backend) };
}

/** Until the banner is there: everything runs. */
export async function waitForBanner(launcher: TestProcess): Promise<void> {
  await launcher.waitForOutput(/Task Sync is running.*Stop .*\n/s, START_LIMIT_MS);
}

/** The children of the launcher of this folder, as it has written them down. */
export function readChildren(dataDir: string): StartedChild[] {
  const file = join(dataDir, 'children.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
}

/** The launcher chooses Redis by finding a redis-server; where the run's Redis is a given one, it gets that. */
function environmentOf(backend: Backend): NodeJS.ProcessEnv {
  if (backend === 'postgres') return { PATH: pathWithoutRedis() };
  return canStartRedis() ? {} : { REDIS_URL: requireSharedRedis() };
}

/** A PATH with what the launcher may call, and no redis-server. */
function pathWithoutRedis(): string {
  const folder = join(requireRunFolder(), `path-${process.pid}`);
  if (existsSync(folder)) return folder;
  mkdirSync(folder);
  symlinkSync(process.execPath, join(folder, 'node'));
  const searched = (plainEnvironment().PATH ?? '').split(delimiter);
  for (const program of ['unshare', 'id', 'ps', 'sh', 'useradd', 'adduser']) {
    const found = searched.map((each) => join(each, program)).find((path) => existsSync(path));
    if (found !== undefined) symlinkSync(found, join(folder, program));
  }
  return folder;
}
