// The configuration: one joi schema over the environment, validated once at start, frozen.
// This file is the only reader of process.env; entry files call loadConfig() and pass the result on.
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import Joi from 'joi';
import { CONFLICT_STRATEGIES, type ConflictStrategy } from '../src/sync/merge.js';
import { databaseUrl, redisUrl } from './addresses.js';
import { hostList, originList } from './webAddresses.js';

const integer = (min: number, max: number, defaultValue: number) =>
  Joi.number().integer().min(min).max(max).default(defaultValue);

const HOUR_MS = 3_600_000;
/** A load balancer hears of a stopping process within about a second, from the platform or by a health check. */
const DRAIN_MS = 1_000;

/** A hundred years: the longest retention that still gives a date PostgreSQL knows. */
const RETENTION_DAYS_MAX = 36_500;

/** Every variable the product reads, with its default and limits. .env.example and the README table are tested against it. */
export const environmentSchema = Joi.object({
  NODE_ENV: Joi.string().valid('development', 'production', 'test').default('development'),
  HOST: Joi.string().hostname(),
  ALLOWED_HOSTS: hostList,
  PORT: integer(0, 65_535, 5000),
  LOG_LEVEL: Joi.string().valid('error', 'warn', 'info', 'debug').default('info'),
  ADMIN_TOKEN: Joi.string().min(16).max(256),
  TRUSTED_PROXIES: integer(0, 10, 0),

  DATABASE_URL: databaseUrl,
  DATABASE_POOL_SIZE: integer(1, 100, 8),
  DATABASE_CONNECT_TIMEOUT_MS: integer(100, 60_000, 5_000),
  DATABASE_ACQUIRE_TIMEOUT_MS: integer(100, 60_000, 900),
  DATABASE_STATEMENT_TIMEOUT_MS: integer(100, 600_000, 10_000),
  DATABASE_LOCK_TIMEOUT_MS: integer(100, 600_000, 5_000),
  DATABASE_PREPARED_STATEMENTS: Joi.boolean().default(true),

  REDIS_URL: redisUrl,
  REDIS_TLS_VERIFY: Joi.boolean().default(true),
  REDIS_COMMAND_TIMEOUT_MS: integer(50, 60_000, 1_000),
  QUEUE_PREFIX: Joi.string()
    .pattern(/^[\w{}.-]{1,64}$/)
    .default('{task-sync}'),

  CONFLICT_STRATEGY: Joi.string()
    .valid(...CONFLICT_STRATEGIES)
    .default('lww'),
  SYNC_BATCH_SIZE: integer(1, 1_000, 50),
  SYNC_TRANSACTION_SIZE: integer(1, 5_000, 500),
  SYNC_MAX_ITEMS: integer(1, 10_000, 1_000),
  BODY_LIMIT: integer(1_024, 64 * 1_048_576, 1_048_576),
  RESPONSE_LIMIT: integer(65_536, 64 * 1_048_576, 4 * 1_048_576),
  UNREAD_ANSWERS_LIMIT: integer(1_048_576, 4_096 * 1_048_576, 64 * 1_048_576),
  ANSWER_STALL_TIMEOUT_MS: integer(100, 600_000, 30_000),
  HTTP_REQUEST_TIMEOUT_MS: integer(100, HOUR_MS, 300_000),
  HTTP_SILENCE_TIMEOUT_MS: integer(100, 600_000, 10_000),
  STREAM_MAX: integer(0, 100_000, 10_000),
  CORS_ORIGIN: originList,
  SYNC_WAIT_MS: integer(0, 60_000, 5_000),
  SYNC_WAIT_MAX_MS: integer(0, 120_000, 30_000),
  SYNC_MAX_WAITING: integer(0, 100_000, 1_000),

  PENDING_MAX_PER_WORKSPACE: integer(1, 10_000_000, 50_000),
  PENDING_MAX: integer(1, 10_000_000, 500_000),
  MAX_CONCURRENT_BATCHES: integer(1, 10_000, 256),
  LOAD_SHED_LAG_MS: integer(0, 60_000, 200),

  WORKER_CONCURRENCY: integer(1, 256, 16),
  WORKER_HEALTH_PORT: Joi.number()
    .port()
    .invalid(Joi.ref('PORT'))
    .messages({ 'any.invalid': '{{#label}} must differ from PORT: they belong to two processes' }),
  SYNC_MAX_RETRIES: integer(0, 100, 3),
  RETRY_BASE_MS: integer(1, 60_000, 500),
  RETRY_CAP_MS: integer(1, HOUR_MS, 30_000),
  RECONCILE_INTERVAL_MS: integer(50, HOUR_MS, 1_000),
  RECONCILE_AFTER_MS: integer(50, HOUR_MS, 5_000),
  RECONCILE_DIRECT_AFTER_MS: integer(50, HOUR_MS, 5_000),

  TOMBSTONE_RETENTION_DAYS: integer(1, RETENTION_DAYS_MAX, 90),
  STUB_RETENTION_DAYS: integer(0, RETENTION_DAYS_MAX, 275),
  OPLOG_RETENTION_DAYS: integer(1, RETENTION_DAYS_MAX, 90),
  COMPACTION_INTERVAL_MS: integer(100, 24 * HOUR_MS, HOUR_MS),
  COMPACTION_CHUNK: integer(1, 10_000, 1_000),

  SHUTDOWN_TIMEOUT_MS: integer(100, 300_000, 10_000),
  SHUTDOWN_DRAIN_MS: Joi.number()
    .integer()
    .min(0)
    .less(Joi.ref('SHUTDOWN_TIMEOUT_MS'))
    .messages({ 'number.less': '{{#label}} must be less than SHUTDOWN_TIMEOUT_MS, which it is a part of' }),
  DATA_DIR: Joi.string().min(1).default('./.data'),
});

interface Environment {
  NODE_ENV: 'development' | 'production' | 'test';
  HOST?: string;
  ALLOWED_HOSTS?: string[];
  PORT: number;
  LOG_LEVEL: string;
  ADMIN_TOKEN?: string;
  TRUSTED_PROXIES: number;
  DATABASE_URL?: string;
  DATABASE_POOL_SIZE: number;
  DATABASE_CONNECT_TIMEOUT_MS: number;
  DATABASE_ACQUIRE_TIMEOUT_MS: number;
  DATABASE_STATEMENT_TIMEOUT_MS: number;
  DATABASE_LOCK_TIMEOUT_MS: number;
  DATABASE_PREPARED_STATEMENTS: boolean;
  REDIS_URL?: string;
  REDIS_TLS_VERIFY: boolean;
  REDIS_COMMAND_TIMEOUT_MS: number;
  QUEUE_PREFIX: string;
  CONFLICT_STRATEGY: ConflictStrategy;
  SYNC_BATCH_SIZE: number;
  SYNC_TRANSACTION_SIZE: number;
  SYNC_MAX_ITEMS: number;
  BODY_LIMIT: number;
  RESPONSE_LIMIT: number;
  UNREAD_ANSWERS_LIMIT: number;
  ANSWER_STALL_TIMEOUT_MS: number;
  HTTP_REQUEST_TIMEOUT_MS: number;
  HTTP_SILENCE_TIMEOUT_MS: number;
  STREAM_MAX: number;
  CORS_ORIGIN?: string[];
  SYNC_WAIT_MS: number;
  SYNC_WAIT_MAX_MS: number;
  SYNC_MAX_WAITING: number;
  PENDING_MAX_PER_WORKSPACE: number;
  PENDING_MAX: number;
  MAX_CONCURRENT_BATCHES: number;
  LOAD_SHED_LAG_MS: number;
  WORKER_CONCURRENCY: number;
  WORKER_HEALTH_PORT?: number;
  SYNC_MAX_RETRIES: number;
  RETRY_BASE_MS: number;
  RETRY_CAP_MS: number;
  RECONCILE_INTERVAL_MS: number;
  RECONCILE_AFTER_MS: number;
  RECONCILE_DIRECT_AFTER_MS: number;
  TOMBSTONE_RETENTION_DAYS: number;
  STUB_RETENTION_DAYS: number;
  OPLOG_RETENTION_DAYS: number;
  COMPACTION_INTERVAL_MS: number;
  COMPACTION_CHUNK: number;
  SHUTDOWN_TIMEOUT_MS: number;
  SHUTDOWN_DRAIN_MS?: number;
  DATA_DIR: string;
}

/** A setting that stops the process from starting; its message says which one and what to do. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/** The environment of this process, completed from a .env file in the working directory if there is one. */
export function readEnvironment(): NodeJS.ProcessEnv {
  try {
    // Not process.loadEnvFile(): it takes the byte order mark that editors on Windows write for a part of the first name.
    const text = existsSync('.env') ? readFileSync('.env', 'utf8').replace(/^\uFEFF/, '') : '';
    for (const [name, value] of Object.entries(parseEnv(text))) process.env[name] ??= value;
  } catch (error) {
    throw new ConfigError(
      `The file .env could not be read (${error instanceof Error ? error.message : error}). Mend or remove it.`,
    );
  }
  return process.env;
}

/**
 * Validates the environment and shapes it for the code.
 * @throws ConfigError with one sentence a setting, each naming the variable, the rule it breaks and its value.
 */
export function loadConfig(env: NodeJS.ProcessEnv = readEnvironment()) {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const { error, value } = environmentSchema.validate(given, { abortEarly: false, stripUnknown: true, convert: true });
  if (error) throw new ConfigError(error.details.map((detail) => describe(detail)).join('\n'));
  const settings: Environment = value;
  const onHeroku = given.DYNO !== undefined;
  const host = settings.HOST ?? (settings.NODE_ENV === 'production' ? '0.0.0.0' : '127.0.0.1');
  return deepFreeze({
    environment: settings.NODE_ENV,
    isProduction: settings.NODE_ENV === 'production',
    host,
    port: settings.PORT,
    logLevel: settings.LOG_LEVEL,
    adminToken: settings.ADMIN_TOKEN,
    /** Proxies of ours in front: whom their X-Forwarded-For names is the client. */
    trustedProxies: settings.TRUSTED_PROXIES,
    dataDir: resolve(settings.DATA_DIR),
    shutdownTimeoutMs: settings.SHUTDOWN_TIMEOUT_MS,
    /** How long an api goes on serving after it has said that it is not ready. */
    shutdownDrainMs:
      settings.SHUTDOWN_DRAIN_MS ??
      (settings.NODE_ENV === 'production' ? Math.min(DRAIN_MS, settings.SHUTDOWN_TIMEOUT_MS / 2) : 0),
    bodyLimitBytes: settings.BODY_LIMIT,
    /** Of what an answer shows of tasks and operations; at least one always fits. */
    responseLimitBytes: settings.RESPONSE_LIMIT,
    /** What waits in one api process to be read by clients. */
    answers: { unreadMaxBytes: settings.UNREAD_ANSWERS_LIMIT, stallMs: settings.ANSWER_STALL_TIMEOUT_MS },
    /** How long a whole request may be on its way. */
    requestTimeoutMs: settings.HTTP_REQUEST_TIMEOUT_MS,
    /** How long next to nothing may come of it. */
    requestSilenceMs: settings.HTTP_SILENCE_TIMEOUT_MS,
    /** The most streams that one api process keeps open. */
    streamMax: settings.STREAM_MAX,
    /** What a browser may be made to do here. */
    browsers: {
      host,
      allowedHosts: settings.ALLOWED_HOSTS,
      /** Origins of pages that may call the API; * for any. */
      corsOrigins: settings.CORS_ORIGIN ?? [],
    },
    database: {
      url: settings.DATABASE_URL,
      poolSize: settings.DATABASE_POOL_SIZE,
      connectTimeoutMs: settings.DATABASE_CONNECT_TIMEOUT_MS,
      acquireTimeoutMs: settings.DATABASE_ACQUIRE_TIMEOUT_MS,
      statementTimeoutMs: settings.DATABASE_STATEMENT_TIMEOUT_MS,
      lockTimeoutMs: settings.DATABASE_LOCK_TIMEOUT_MS,
      preparedStatements: settings.DATABASE_PREPARED_STATEMENTS,
    },
    queue: {
      redisUrl: settings.REDIS_URL,
      // Heroku's Redis presents a self-signed certificate and says so: refusing it there would refuse every Heroku app.
      verifyTls: settings.REDIS_TLS_VERIFY && !(onHeroku && given.REDIS_TLS_VERIFY === undefined),
      commandTimeoutMs: settings.REDIS_COMMAND_TIMEOUT_MS,
      prefix: settings.QUEUE_PREFIX,
    },
    sync: {
      conflictStrategy: settings.CONFLICT_STRATEGY,
      batchSize: settings.SYNC_BATCH_SIZE,
      transactionSize: settings.SYNC_TRANSACTION_SIZE,
      maxItems: settings.SYNC_MAX_ITEMS,
      waitMs: settings.SYNC_WAIT_MS,
      waitMaxMs: settings.SYNC_WAIT_MAX_MS,
    },
    /** What one api process takes on; beyond it requests are answered 429 or 503. */
    admission: {
      pendingMax: settings.PENDING_MAX,
      pendingMaxPerWorkspace: settings.PENDING_MAX_PER_WORKSPACE,
      concurrentBatches: settings.MAX_CONCURRENT_BATCHES,
      waitingRequests: settings.SYNC_MAX_WAITING,
      /** 0: never. */
      lagMs: settings.LOAD_SHED_LAG_MS,
    },
    retry: { maxRetries: settings.SYNC_MAX_RETRIES, baseMs: settings.RETRY_BASE_MS, capMs: settings.RETRY_CAP_MS },
    worker: {
      concurrency: settings.WORKER_CONCURRENCY,
      healthPort: settings.WORKER_HEALTH_PORT,
      reconcileIntervalMs: settings.RECONCILE_INTERVAL_MS,
      reconcileAfterMs: settings.RECONCILE_AFTER_MS,
      reconcileDirectAfterMs: settings.RECONCILE_DIRECT_AFTER_MS,
    },
    compaction: {
      tombstoneDays: settings.TOMBSTONE_RETENTION_DAYS,
      /** How long a stub stays after its time as a tombstone. */
      stubDays: settings.STUB_RETENTION_DAYS,
      logDays: settings.OPLOG_RETENTION_DAYS,
      intervalMs: settings.COMPACTION_INTERVAL_MS,
      chunk: settings.COMPACTION_CHUNK,
    },
  });
}

export type Config = ReturnType<typeof loadConfig>;

/**
 * The database's URL, for the parts that cannot run without one.
 * @throws ConfigError that says how to set it.
 */
export function requireDatabaseUrl(config: Config): string {
  if (config.database.url !== undefined) return config.database.url;
  throw new ConfigError(
    'DATABASE_URL is not set. Set it to the address of a PostgreSQL database, like postgres://user:password@host:5432/database, or run `npm start`, which brings its own.',
  );
}

/** Secrets never reach a log or a screen, not even inside the message that refuses them. */
function describe(detail: Joi.ValidationErrorItem): string {
  const name = String(detail.path[0]);
  const isSecret = /TOKEN|URL/.test(name);
  const shown = isSecret ? '' : ` (it is "${String(detail.context?.value)}")`;
  return `${detail.message.replaceAll('"', '')}${shown}. Change ${name} in the environment or in .env.`;
}

function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  return Object.freeze(value);
}
