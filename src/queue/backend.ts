// Where the queue lives: Redis when there is a REDIS_URL, else BullMQ's PostgreSQL backend on the product's own database.
// Producers fail fast (a request waits for them); workers wait for their connection as long as it takes.
import { type BackendFactory, createRedisBackend, type IQueueBackend, setDefaultBackendFactory } from 'bullmq';
import { Redis, type RedisOptions } from 'ioredis';
import type pg from 'pg';
import type { DatabaseAddress } from '../databaseAddress.js';
import { createSilenceWatch } from '../silence.js';
import type { TimeLine } from '../timeLine.js';
import { createFailover, type Failover } from './failover.js';
import { createQueueHome, type QueueHome } from './installation.js';
import { AttendedClient, QueueBackend, QueueDatabase } from './queueDatabase.js';

export type QueueAddress = RedisQueueAddress | PostgresQueueAddress;

export interface RedisQueueAddress extends QueueHome {
  kind: 'redis';
  redis: RedisOptions;
  /** QUEUE_PREFIX, which installations may share. */
  sharedPrefix: string;
  /** What the keys of the queue begin with now: that, and the name of the installation. */
  readonly prefix: string;
  commandTimeoutMs: number;
  failover: Failover;
}

export interface PostgresQueueAddress extends QueueHome {
  kind: 'postgres';
  database: DatabaseAddress;
  connectTimeoutMs: number;
}

/** What a queue or worker of ours is connected to; the backend factory picks BullMQ's own one by it. */
export type QueueConnection = Redis | pg.PoolConfig;

export interface QueueSettings {
  redisUrl: string | undefined;
  verifyTls: boolean;
  commandTimeoutMs: number;
  prefix: string;
}

/** Decides where the queue lives. @param timeLine of the database, by which the queue of one installation is told from that of another */
export function queueAddress(
  settings: QueueSettings,
  database: DatabaseAddress,
  connectTimeoutMs: number,
  timeLine: Pick<TimeLine, 'current' | 'onChange'>,
): QueueAddress {
  const backend = settings.redisUrl === undefined ? 'postgres' : 'redis';
  const home = createQueueHome(timeLine, backend);
  if (settings.redisUrl === undefined) return { kind: 'postgres', database, connectTimeoutMs, ...home };
  return {
    kind: 'redis',
    redis: redisOptions(settings.redisUrl, settings.verifyTls),
    failover: createFailover(),
    sharedPrefix: settings.prefix,
    get prefix() {
      return `${settings.prefix}:${home.installation()}`;
    },
    commandTimeoutMs: settings.commandTimeoutMs,
    ...home,
  };
}

function redisOptions(url: string, verifyTls: boolean): RedisOptions {
  const parsed = new URL(url);
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    host,
    port: Number(parsed.port || 6379),
    db: Number(parsed.pathname.slice(1) || 0),
    // IPv4 or IPv6, whichever the name has: private networks of some platforms have IPv6 only.
    family: 0,
    ...(parsed.username === '' ? {} : { username: decodeURIComponent(parsed.username) }),
    ...(parsed.password === '' ? {} : { password: decodeURIComponent(parsed.password) }),
    ...(parsed.protocol === 'rediss:' ? { tls: { servername: host, rejectUnauthorized: verifyTls } } : {}),
  };
}

/**
 * How long a worker waits before it writes or asks again what a queue that was away did not take. BullMQ's 15 s begin anew with nothing,
 * and a worker that is to stop waits for them: after PostgreSQL had restarted that took longer than it is given.
 */
export const RUN_RETRY_DELAY_MS = 1_000;

/** How long a client waits before it tries to reach Redis again, in ms. */
const reconnectDelayMs = (attempt: number) => Math.min(attempt * 100, 2_000);

/** A connection whose commands fail within `commandTimeoutMs`, at once while Redis is not connected. */
export function connectProducer(address: RedisQueueAddress): Redis {
  const redis = new Redis({
    ...address.redis,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: address.commandTimeoutMs,
    connectTimeout: address.commandTimeoutMs,
    retryStrategy: reconnectDelayMs,
    reconnectOnError: address.failover.reconnectOnError,
    connectionName: 'task-sync',
  });
  return attend(redis, address.failover);
}

/** A connection whose commands wait for Redis to come back. BullMQ duplicates it for those that block. */
export function connectWorker(address: RedisQueueAddress): Redis {
  const redis = new Redis({
    ...address.redis,
    maxRetriesPerRequest: null,
    connectTimeout: 5_000,
    keepAlive: 10_000,
    retryStrategy: reconnectDelayMs,
    reconnectOnError: address.failover.reconnectOnError,
    connectionName: 'task-sync',
  });
  return attend(redis, address.failover);
}

/**
 * No command of ours takes Redis a second. Longer than a stall of Redis that is worth waiting for, a fork or a slow disk, and short
 * enough that half a minute is not lost. Not ioredis's socketTimeout: its timer outlives its socket and cuts the next one.
 */
const SILENT_AFTER_MS = 8_000;

/** BullMQ blocks for 10 s at most, and its own watch begins with a command: a connection that never gets so far would be waited for without end. */
const BLOCKING_SILENT_AFTER_MS = 12_000;

/** Sees to it that a connection is made anew when it is dead or leads to a replica, and so are its duplicates. */
function attend(redis: Redis, failover: Failover): Redis {
  cutWhenSilent(redis, SILENT_AFTER_MS);
  failover.watch(redis);
  const duplicate = redis.duplicate.bind(redis);
  redis.duplicate = (override) => {
    const blocking = cutWhenSilent(duplicate(override), BLOCKING_SILENT_AFTER_MS);
    failover.watch(blocking);
    return blocking;
  };
  return redis;
}

function cutWhenSilent(redis: Redis, limitMs: number): Redis {
  const watch = createSilenceWatch(limitMs);
  redis.on('connect', () => watch(redis.stream));
  return redis;
}

/** Settings of a pool for BullMQ's PostgreSQL backend. @param max its connections; a worker's gets one more, which waits for jobs */
export function postgresPool(address: Pick<PostgresQueueAddress, 'database' | 'connectTimeoutMs'>, max: number) {
  return {
    ...address.database,
    max,
    application_name: 'task-sync queue',
    connectionTimeoutMillis: address.connectTimeoutMs,
    keepAlive: true,
    // The session that waits for jobs may have nothing to say for an hour.
    keepAliveInitialDelayMillis: 10_000,
    Client: AttendedClient,
  };
}

const createBackend: BackendFactory<IQueueBackend, QueueConnection> = (name, options, role) => {
  const { connection, ...rest } = options;
  if (connection instanceof Redis) return createRedisBackend(name, { ...rest, connection }, role);
  const database = new QueueDatabase(connection, role?.withBlockingConnection === true ? name : undefined);
  return new QueueBackend(database, name, { ...rest, connection: database.pool });
};

// The default of the process instead of an argument of each class, because Bull Board takes only a Queue of the default type.
setDefaultBackendFactory(createBackend);
