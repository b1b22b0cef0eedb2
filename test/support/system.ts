// The product inside the test's own process: the real wiring of api and worker on a database of its own, with an injected clock.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, loadConfig, requireDatabaseUrl } from '../../config/index.js';
import { startApi } from '../../src/api/startApi.js';
import { resolveDatabaseAddress } from '../../src/databaseAddress.js';
import { createLogger } from '../../src/logger.js';
import { migrateDatabase } from '../../src/migrateDatabase.js';
import { createShutdown, type Shutdown } from '../../src/shutdown.js';
import { type Database, openDatabase } from '../../src/storage/database.js';
import { startWorker } from '../../workers/startWorker.js';
import { forgetCleanup, registerCleanup } from './cleanup.js';
import { requireSharedRedis, testBackend } from './environment.js';
import { createTestDatabase, type TestDatabase } from './postgres.js';
import { uniquePrefix } from './redis.js';

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers freely
  body: any;
}

export interface System {
  config: Config;
  /** http://127.0.0.1:port */
  url: string;
  /** A pool of the test's own on the system's database. */
  database: Database;
  /** Sends JSON (a string body as it is) and reads JSON. */
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** POST /api/sync/batch. */
  push(items: unknown[], envelope?: object, headers?: Record<string, string>): Promise<Answer>;
  /** One more worker. */
  startWorker(): Promise<Shutdown>;
  stop(): Promise<void>;
}

/** The test logger: warnings of the product belong to the scenarios, only errors are shown. */
const logger = createLogger({ level: 'error', process: 'test' });

const migrateTemplate = (url: string) => migrateDatabase(url, loadConfig({ LOG_LEVEL: 'error' }), logger);

/**
 * Starts api and worker.
 * @param file `import.meta.url` of the test file
 * @param options.workers how many workers to start (1)
 * @param options.nowMs the server's clock
 * @param options.prepare called with the database before anything is started on it; returns settings
 * @param options.env settings beside the addresses
 * @param options.database one that is there already, and stays; else it has its own
 */
export async function startSystem(
  file: string,
  options: {
    workers?: number;
    nowMs?: () => number;
    env?: Record<string, string>;
    redisUrl?: string;
    prepare?: (databaseUrl: string) => Promise<Record<string, string> | undefined>;
    database?: TestDatabase;
  } = {},
): Promise<System> {
  const testDatabase = options.database ?? (await createMigratedDatabase(file));
  const prepared = await options.prepare?.(testDatabase.url);
  const config = loadConfig({
    NODE_ENV: 'test',
    PORT: '0',
    DATABASE_URL: testDatabase.url,
    RETRY_BASE_MS: '20',
    RETRY_CAP_MS: '100',
    // A test machine that is busy with something else must not make requests be refused.
    LOAD_SHED_LAG_MS: '0',
    ...(testBackend === 'redis'
      ? { REDIS_URL: options.redisUrl ?? requireSharedRedis(), QUEUE_PREFIX: uniquePrefix() }
      : {}),
    ...options.env,
    ...prepared,
  });
  const { nowMs } = options;
  const parts: Shutdown[] = [];
  const createPart = () => {
    const part = createShutdown(logger, config.shutdownTimeoutMs);
    parts.push(part);
    return part;
  };
  const runWorker = async () => {
    const part = createPart();
    await startWorker(config, logger, part, nowMs);
    return part;
  };
  const api = await startApi(config, logger, createPart(), nowMs);
  for (let count = 0; count < (options.workers ?? 1); count += 1) await runWorker();
  const address = await resolveDatabaseAddress(requireDatabaseUrl(config), 5_000);
  const database = openDatabase(address, config.database, 'test');

  const url = `http://127.0.0.1:${api.port}`;
  const request: System['request'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        connection: 'close',
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : parse(text) };
  };
  const system: System = {
    config,
    url,
    database,
    request,
    push: (items, envelope = {}, headers = {}) => request('POST', '/api/sync/batch', { items, ...envelope }, headers),
    startWorker: runWorker,
    async stop() {
      forgetCleanup(system);
      for (const part of parts.reverse()) await part.run('the test is over');
      await database.close();
      if (options.database === undefined) await testDatabase.drop();
    },
  };
  registerCleanup(system, system.stop);
  return system;
}

/** @param file `import.meta.url` of the test file */
export const createMigratedDatabase = (file: string) => createTestDatabase(file, migrateTemplate);

/** Polls until `check` returns something, at most `limitMs`. For states that nothing announces. */
export async function eventually<Value>(
  check: () => Promise<Value | undefined | false> | Value | undefined | false,
  limitMs = 20_000,
  everyMs = 25,
): Promise<Value> {
  for (const until = Date.now() + limitMs; ; await sleep(everyMs)) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > until) throw new Error(`it did not happen within ${limitMs} ms`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
