// Several api and worker processes on one database, as they run in production, for what only shows between processes.
import { readFileSync } from 'node:fs';
import { loadConfig } from '../../config/index.js';
import { createLogger } from '../../src/logger.js';
import { migrateDatabase } from '../../src/migrateDatabase.js';
import { requireSharedRedis, testBackend } from './environment.js';
import { freePort } from './ports.js';
import { createTestDatabase, type TestDatabase } from './postgres.js';
import { startProcess, type TestProcess } from './processes.js';
import { uniquePrefix } from './redis.js';

export interface RunningCluster {
  database: TestDatabase;
  /** http://127.0.0.1:port of each api process. */
  urls: string[];
  apis: TestProcess[];
  workers: TestProcess[];
  /** What configures them. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

const logger = createLogger({ level: 'error', process: 'test' });
const migrateTemplate = (url: string) => migrateDatabase(url, loadConfig({ LOG_LEVEL: 'error' }), logger);

/**
 * Starts the processes; on return all answer.
 * @param file `import.meta.url` of the test file
 * @param options.redisUrl a Redis of the test's own instead of the shared one
 */
export async function startProcesses(
  file: string,
  options: { apis: number; workers: number; env?: Record<string, string>; redisUrl?: string },
): Promise<RunningCluster> {
  const database = await createTestDatabase(file, migrateTemplate);
  const env = {
    DATABASE_URL: database.url,
    NODE_ENV: 'test',
    // As startSystem: a busy test machine is no overload.
    LOAD_SHED_LAG_MS: '0',
    ...(testBackend === 'redis'
      ? { REDIS_URL: options.redisUrl ?? requireSharedRedis(), QUEUE_PREFIX: uniquePrefix() }
      : {}),
    ...options.env,
  };
  const startApi = async (_: unknown, index: number) => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const api = startProcess({
      name: `api ${index + 1}`,
      entry: 'src/api/main.js',
      env: { ...env, PORT: String(port) },
    });
    await api.waitForHttp(`${url}/health/ready`);
    return { url, api };
  };
  const startWorker = async (_: unknown, index: number) => {
    const worker = startProcess({ name: `worker ${index + 1}`, entry: 'workers/main.js', env });
    await worker.waitForOutput(/worker is running/);
    return worker;
  };
  const [apis, workers] = await Promise.all([
    Promise.all(Array.from({ length: options.apis }, startApi)),
    Promise.all(Array.from({ length: options.workers }, startWorker)),
  ]);
  return {
    database,
    urls: apis.map(({ url }) => url),
    apis: apis.map(({ api }) => api),
    workers,
    env,
    async stop() {
      await Promise.all([...apis.map(({ api }) => api.stop()), ...workers.map((worker) => worker.stop())]);
      await database.drop();
    },
  };
}

/** The memory of a process in MB: what it holds now (VmRSS), or the most it ever held (VmHWM). Linux only. */
export function memoryOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const kilobytes = readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm'))?.[1];
  if (kilobytes === undefined) throw new Error(`/proc/${pid}/status has no ${field}`);
  return Number(kilobytes) / 1_024;
}
