// The product as it runs in production: an api process and workers on a database of their own, started from the compiled entry files with
// the default settings (the log level too: a line a request and a transaction is part of the price).
import { loadConfig } from '../config/index.js';
import { findFreePort } from '../src/embedded/ports.js';
import { createLogger } from '../src/logger.js';
import { migrateDatabase } from '../src/migrateDatabase.js';
import type { Bench } from './bench.js';
import type { MeteredProcess } from './meter.js';
import { answersOk, startProcess } from './processes.js';
import { createDatabase } from './servers.js';

export type Backend = 'redis' | 'postgres';

export interface Stack {
  url: string;
  databaseUrl: string;
  /** What configures it, addresses included. */
  env: Record<string, string>;
  /** api, and worker as often as there are workers. */
  processes: MeteredProcess[];
}

const UP_LIMIT_MS = 60_000;
const logger = createLogger({ level: 'error', process: 'bench' });

export interface StackOptions {
  /** Of its database and queue: lower case letters, digits and _. */
  name: string;
  backend?: Backend;
  env?: Record<string, string>;
  /** Runs on the migrated database before anything is started. */
  fill?: (databaseUrl: string) => Promise<void>;
}

/** Makes a stack's database. @returns the settings of its processes @throws an Error where there is no Redis and it is asked for */
export async function prepareStack(bench: Bench, { name, backend = 'redis', fill, env: beside }: StackOptions) {
  const queue: Record<string, string> =
    backend === 'redis' ? { REDIS_URL: requireRedis(bench), QUEUE_PREFIX: `{bench-${name}}` } : {};
  const databaseUrl = await createDatabase(bench.servers, name);
  const env: Record<string, string> = {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    DATABASE_URL: databaseUrl,
    // Answers wait for their workers: what is counted is settled.
    SYNC_WAIT_MS: '30000',
    ...queue,
    ...beside,
  };
  await migrateDatabase(databaseUrl, loadConfig(env), logger);
  await fill?.(databaseUrl);
  return { databaseUrl, env };
}

/** Starts a stack; on return it answers. @throws an Error that says what did not start */
export async function startStack(bench: Bench, options: StackOptions & { workers?: number }): Promise<Stack> {
  const { databaseUrl, env } = await prepareStack(bench, options);
  const { name, workers = 1 } = options;
  const port = await findFreePort();
  const started = Array.from({ length: workers }, (_, index) =>
    startProcess(bench, { name: `${name} worker ${index + 1}`, file: 'workers/main.js', env }),
  );
  const api = startProcess(bench, {
    name: `${name} api`,
    file: 'src/api/main.js',
    env: { ...env, PORT: String(port) },
  });
  const url = `http://127.0.0.1:${port}`;
  await Promise.all(started.map((each) => each.waitUntil((log) => log.includes('worker is running'), UP_LIMIT_MS)));
  await api.waitUntil(() => answersOk(`${url}/health/ready`), UP_LIMIT_MS);
  const processes = [{ name: 'api', pid: api.pid }, ...started.map(({ pid }) => ({ name: 'worker', pid }))];
  return { url, databaseUrl, env, processes };
}

/** @throws an Error that says why there is no Redis */
export function requireRedis({ servers }: Bench): string {
  if ('url' in servers.redis) return servers.redis.url;
  throw new Error(`There is no Redis to measure with: ${servers.redis.why}.`);
}
