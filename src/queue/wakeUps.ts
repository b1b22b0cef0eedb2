// "Workspace W is settled up to operation N": from whoever applied it to every api process, over Redis pub/sub, or LISTEN/NOTIFY
// where PostgreSQL is the queue. A wake-up may be lost (nobody relies on it alone: waiters look for themselves now and then).
import pg from 'pg';
import { describeError, type Logger } from '../logger.js';
import { connectProducer, connectWorker, type QueueAddress } from './backend.js';
import { withTimeLimit } from './producer.js';

export interface WakeUp {
  workspaceId: string;
  /** The workspace's seq after the transaction. */
  seq: number;
  /** Every operation up to this id that was due has been settled. */
  settledUpTo: number;
  /** Batches that moved; some may be missing where there were very many. */
  batchIds: string[];
}

export interface WakeUpPublisher {
  /** Never throws and never waits for long: a wake-up that cannot be sent is only late. */
  publish(wakeUp: WakeUp): void;
  close(): Promise<void>;
}

export interface WakeUpSubscription {
  close(): Promise<void>;
}

const POSTGRES_CHANNEL = 'task_sync_wake_up';
const RECONNECT_MS = 1_000;
/** How often a listening connection is asked whether it still is one. */
const PING_EVERY_MS = 3_000;
/** An answer to that takes no time. */
const PING_LIMIT_MS = 5_000;

/** The payload of a NOTIFY ends at 8,000 bytes; a batch id takes 39 of them. */
export const WAKE_UP_BATCHES_MAX = 100;

const redisChannel = (prefix: string) => `${prefix}:wake-up`;

/** Opens the sending side; connects in the background. */
export function createWakeUpPublisher(address: QueueAddress, logger: Logger): WakeUpPublisher {
  const ignore = (error: unknown) => logger.debug('a wake-up was not sent', describeError(error));
  if (address.kind === 'redis') {
    const redis = connectProducer(address);
    redis.on('error', ignore);
    return {
      publish: (wakeUp) => void redis.publish(redisChannel(address.prefix), JSON.stringify(wakeUp)).catch(ignore),
      close: async () => redis.disconnect(),
    };
  }
  const pool = new pg.Pool({ ...address.database, max: 1, connectionTimeoutMillis: address.connectTimeoutMs });
  pool.on('error', ignore);
  return {
    publish: (wakeUp) =>
      void pool.query('SELECT pg_notify($1, $2)', [POSTGRES_CHANNEL, JSON.stringify(wakeUp)]).catch(ignore),
    close: () => pool.end(),
  };
}

/** Calls `onWakeUp` for each wake-up of any workspace; reconnects by itself. */
export function subscribeWakeUps(
  address: QueueAddress,
  logger: Logger,
  onWakeUp: (wakeUp: WakeUp) => void,
): WakeUpSubscription {
  const receive = (text: string | undefined) => {
    const wakeUp = parseWakeUp(text ?? '');
    if (wakeUp === undefined) logger.warn('a wake-up could not be read', { text });
    else onWakeUp(wakeUp);
  };
  return address.kind === 'redis' ? subscribeRedis(address, logger, receive) : listenPostgres(address, logger, receive);
}

function subscribeRedis(
  address: QueueAddress & { kind: 'redis' },
  logger: Logger,
  receive: (text: string) => void,
): WakeUpSubscription {
  const redis = connectWorker(address);
  const ignore = (error: unknown) => logger.debug('wake-ups: Redis does not answer', describeError(error));
  redis.on('error', ignore);
  redis.on('message', (_channel, text) => receive(text));
  // ioredis subscribes again by itself after a reconnect.
  redis
    .subscribe(redisChannel(address.prefix))
    .catch((error: unknown) => logger.debug('wake-ups: not subscribed', describeError(error)));
  // A subscriber only listens: a connection that has died without a word would not be missed.
  const timer = setInterval(() => {
    if (redis.status === 'ready') redis.ping().catch(ignore);
  }, PING_EVERY_MS);
  return {
    async close() {
      clearInterval(timer);
      redis.disconnect();
    },
  };
}

function listenPostgres(
  address: QueueAddress & { kind: 'postgres' },
  logger: Logger,
  receive: (text: string | undefined) => void,
): WakeUpSubscription {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const reconnectLater = (error?: unknown) => {
    if (isClosed || timer !== undefined) return;
    logger.debug('wake-ups: PostgreSQL does not answer', error === undefined ? {} : describeError(error));
    timer = setTimeout(() => {
      timer = undefined;
      listen();
    }, RECONNECT_MS);
  };
  const ping = setInterval(() => {
    const asked = client;
    if (asked === undefined || timer !== undefined) return;
    withTimeLimit(asked.query('SELECT 1'), PING_LIMIT_MS).catch((error: unknown) => {
      // Its end would be waited for in vain.
      asked.connection.stream.destroy();
      if (asked === client) reconnectLater(error);
    });
  }, PING_EVERY_MS);
  const listen = () => {
    const connecting = new pg.Client({
      ...address.database,
      application_name: 'task-sync wake-ups',
      connectionTimeoutMillis: address.connectTimeoutMs,
      keepAlive: true,
    });
    client = connecting;
    connecting.on('error', reconnectLater);
    connecting.on('end', () => reconnectLater());
    connecting.on('notification', (message) => receive(message.payload));
    connecting
      .connect()
      .then(() => connecting.query(`LISTEN ${POSTGRES_CHANNEL}`))
      .catch(reconnectLater);
  };
  listen();
  return {
    async close() {
      isClosed = true;
      clearInterval(ping);
      clearTimeout(timer);
      await client?.end();
    },
  };
}

function parseWakeUp(text: string): WakeUp | undefined {
  try {
    const { workspaceId, seq, settledUpTo, batchIds } = JSON.parse(text);
    const isWakeUp = typeof workspaceId === 'string' && typeof seq === 'number' && typeof settledUpTo === 'number';
    return isWakeUp ? { workspaceId, seq, settledUpTo, batchIds: Array.isArray(batchIds) ? batchIds : [] } : undefined;
  } catch {
    return undefined;
  }
}
