// The real parts of a scenario on loopback: PostgreSQL, Redis, api and worker processes. A place keeps one process running, as a platform
// does: what was killed is started again at the same address, and an end that nobody asked for is a finding.
import { join } from 'node:path';
import { loadConfig } from '../../config/index.js';
import { createLogger } from '../../src/logger.js';
import { migrateDatabase } from '../../src/migrateDatabase.js';
import { freePort } from '../support/ports.js';
import { startProcess, type TestProcess } from '../support/processes.js';
import type { ScenarioContext } from './scenario.js';
import { type ChaosPostgres, type ChaosServer, startChaosPostgres, startChaosRedis } from './servers.js';

/** A place for one process; it has had several when it was killed. */
export interface Place {
  name: string;
  kind: 'api' | 'worker';
  /** Of an api: http://127.0.0.1:port. Of a worker: its health checks. */
  url: string;
  process(): TestProcess;
  /** Starts its process (again) and returns when it works, or was killed before it did. */
  start(): Promise<void>;
  /** Kill -9. */
  kill(): Promise<void>;
  /** SIGTERM. @throws unless it ends within its limit with code 0 */
  stop(): Promise<{ tookMs: number }>;
  /** False between an end that was asked for and the next start. */
  shouldRun(): boolean;
}

export interface StackOptions {
  apis: number;
  workers: number;
  env?: Record<string, string>;
  /** What the processes are told instead of the servers' own addresses, for a proxy in between. */
  databaseUrl?: (direct: string) => string | Promise<string>;
  /** Given undefined where the queue is in PostgreSQL. */
  redisUrl?: (direct: string) => string | Promise<string>;
  /** A Redis that does not exist: this address is used and no server is started. */
  missingRedisUrl?: string;
  /** Processes that end by themselves are no finding: the scenario restarts them. */
  restartsEnded?: boolean;
  /** Parameters of node for api processes, and for workers. */
  apiNodeParameters?: string[];
  workerNodeParameters?: string[];
}

export interface Stack {
  postgres: ChaosPostgres;
  /** Undefined where the queue is in PostgreSQL, or where it is missing on purpose. */
  redis: ChaosServer | undefined;
  /** Of the database itself, for the check; another one when the address was moved. */
  databaseUrl: string;
  places: Place[];
  apis(): Place[];
  workers(): Place[];
  /** One more process, not started yet. */
  addPlace(kind: 'api' | 'worker'): Promise<Place>;
  /** Takes a stopped one out. */
  removePlace(place: Place): void;
  /** Processes that ended though nobody asked them to, in words. */
  unexpectedEnds: string[];
  /** Ends all processes in order. @returns the longest time one took @throws unless each ended as it should */
  stopProcesses(): Promise<number>;
  stopServers(): Promise<void>;
}

const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_500;

/** Starts everything; on return all processes work. */
export async function startStack(context: ScenarioContext, options: StackOptions): Promise<Stack> {
  const { folder, signal, backend } = context;
  const postgres = await startChaosPostgres(folder, signal);
  const wantsRedis = backend === 'redis' && options.missingRedisUrl === undefined;
  const redis = wantsRedis ? await startChaosRedis(folder, signal) : undefined;
  const redisUrl = options.missingRedisUrl ?? (await (options.redisUrl ?? same)(redis?.url ?? ''));
  const env = {
    DATABASE_URL: await (options.databaseUrl ?? same)(postgres.url),
    NODE_ENV: 'test',
    ...(backend === 'redis' ? { REDIS_URL: redisUrl } : {}),
    ...options.env,
  };
  const logger = createLogger({ level: 'error', process: 'chaos' });
  await migrateDatabase(postgres.url, loadConfig({ LOG_LEVEL: 'error' }), logger);
  const unexpectedEnds: string[] = [];
  const counts = { api: 0, worker: 0 };
  const places: Place[] = [];
  const stack: Stack = {
    postgres,
    redis,
    databaseUrl: postgres.url,
    places,
    apis: () => places.filter(({ kind }) => kind === 'api'),
    workers: () => places.filter(({ kind }) => kind === 'worker'),
    async addPlace(kind) {
      counts[kind] += 1;
      const name = `${kind}-${counts[kind]}`;
      const nodeParameters = (kind === 'worker' ? options.workerNodeParameters : options.apiNodeParameters) ?? [];
      const onEnd = (what: string) => {
        if (options.restartsEnded !== true) unexpectedEnds.push(what);
      };
      const place = createPlace({ kind, name, port: await freePort(), env, nodeParameters, folder, onEnd });
      places.push(place);
      return place;
    },
    removePlace: (place) => void places.splice(places.indexOf(place), 1),
    unexpectedEnds,
    async stopProcesses() {
      const running = places.filter((place) => place.shouldRun());
      const stops = await Promise.all(running.map((place) => place.stop()));
      return Math.max(0, ...stops.map(({ tookMs }) => tookMs));
    },
    async stopServers() {
      await redis?.stop();
      await postgres.stop();
    },
  };
  for (let count = 0; count < options.apis; count += 1) await stack.addPlace('api');
  for (let count = 0; count < options.workers; count += 1) await stack.addPlace('worker');
  await Promise.all(places.map((place) => place.start()));
  return stack;
}

const same = (url: string) => url;

interface PlaceOptions {
  kind: 'api' | 'worker';
  name: string;
  port: number;
  env: Record<string, string>;
  nodeParameters: string[];
  folder: string;
  /** It ended though nobody asked it to. */
  onEnd: (what: string) => void;
}

function createPlace({ kind, name, port, env, nodeParameters, folder, onEnd }: PlaceOptions): Place {
  const url = `http://127.0.0.1:${port}`;
  const own = kind === 'api' ? { PORT: String(port) } : { WORKER_HEALTH_PORT: String(port) };
  const entry = kind === 'api' ? 'src/api/main.js' : 'workers/main.js';
  let current: TestProcess | undefined;
  let isWanted = false;
  const running = () => {
    if (current === undefined) throw new Error(`${name} was never started`);
    return current;
  };
  return {
    name,
    kind,
    url,
    process: running,
    async start() {
      const logFile = join(folder, `${name}.log`);
      const started = startProcess({ name, entry, env: { ...env, ...own }, nodeParameters, logFile });
      current = started;
      isWanted = true;
      void started.exited.then(({ code, signal }) => {
        if (isWanted && current === started) onEnd(`${name} ended by itself (${signal ?? `code ${code}`})`);
      });
      try {
        await started.waitForHttp(`${url}/health/ready`, 200, READY_LIMIT_MS);
      } catch (error) {
        // Killed again before it was ready.
        if (isWanted && current === started) throw error;
      }
    },
    async kill() {
      isWanted = false;
      await running().kill();
    },
    async stop() {
      isWanted = false;
      const startedAt = performance.now();
      const { code, signal } = await running().stop('SIGTERM', STOP_LIMIT_MS);
      if (code !== 0) throw new Error(`${name} ended with ${signal ?? `code ${code}`} after SIGTERM`);
      return { tookMs: performance.now() - startedAt };
    },
    shouldRun: () => isWanted,
  };
}
