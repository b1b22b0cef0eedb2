// "Workspace W is settled up to operation N": from whoever applied it to every api process, over Redis pub/sub, or LISTEN/NOTIFY
// where PostgreSQL is the queue; and what became of the operations, to the process that waits for them. A wake-up may be lost (nobody relies on
// it alone: waiters look for themselves now and then).
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
  /** What became of operations that the receiver waits for; absent in what goes to everybody. */
  outcomes?: unknown;
}

export interface WakeUpPublisher {
  /** The most operations whose outcomes may fit into a wake-up. */
  readonly outcomesMax: number;
  /**
   * Never throws and never waits for long: a wake-up that cannot be sent is only late.
   * @param outcomes by the name of the process that waits for them; what is too long for a wake-up is left out
   */
  publish(wakeUp: WakeUp, outcomes?: ReadonlyMap<string, unknown>): void;
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

/**
 * Outcomes of more operations are read by who waits: a statement for hundreds costs an operation no more than telling it, and the worker is
 * where operations of a workspace queue up.
 */
const REDIS_OUTCOMES_MAX = 100;
/** What Redis may have to hold of one wake-up for a process that is slow; 100 operations on tasks with short texts take 50,000. */
const REDIS_PAYLOAD_MAX_CHARS = 200_000;
/** An operation with its task takes 500 bytes and more. */
const POSTGRES_OUTCOMES_MAX = 15;
/** PostgreSQL takes less than 8,000. */
const POSTGRES_PAYLOAD_MAX_BYTES = 7_900;

const NOTIFY = 'SELECT pg_notify(m.channel, m.text) FROM unnest($1::text[], $2::text[]) AS m(channel, text)';
const redisChannel = (prefix: string, name?: string) => `${prefix}:wake-up${name === undefined ? '' : `:${name}`}`;
const postgresChannel = (name?: string) => (name === undefined ? POSTGRES_CHANNEL : `${POSTGRES_CHANNEL}_${name}`);

/** Opens the sending side; connects in the background. */
export function createWakeUpPublisher(address: QueueAddress, logger: Logger): WakeUpPublisher {
  const ignore = (error: unknown) => logger.debug('a wake-up was not sent', describeError(error));
  if (address.kind === 'redis') {
    const redis = connectProducer(address);
    redis.on('error', ignore);
    return {
      outcomesMax: REDIS_OUTCOMES_MAX,
      publish(wakeUp, outcomes) {
        const messages = messagesOf(wakeUp, outcomes, (text) => text.length <= REDIS_PAYLOAD_MAX_CHARS);
        const commands = messages.map(({ name, text }) => ['publish', redisChannel(address.prefix, name), text]);
        redis.pipeline(commands).exec().catch(ignore);
      },
      close: async () => redis.disconnect(),
    };
  }
  const pool = new pg.Pool({ ...address.database, max: 1, connectionTimeoutMillis: address.connectTimeoutMs });
  pool.on('error', ignore);
  return {
    outcomesMax: POSTGRES_OUTCOMES_MAX,
    publish(wakeUp, outcomes) {
      const messages = messagesOf(wakeUp, outcomes, (text) => Buffer.byteLength(text) <= POSTGRES_PAYLOAD_MAX_BYTES);
      const channels = messages.map(({ name }) => postgresChannel(name));
      const texts = messages.map(({ text }) => text);
      pool.query(NOTIFY, [channels, texts]).catch(ignore);
    },
    close: () => pool.end(),
  };
}

/** One for each who is told, and one for everybody: the last, because it wakes those who wait. */
function messagesOf(
  wakeUp: WakeUp,
  outcomes: ReadonlyMap<string, unknown> | undefined,
  fits: (text: string) => boolean,
): { name?: string; text: string }[] {
  const messages: { name?: string; text: string }[] = [];
  for (const [name, told] of outcomes ?? []) {
    const text = JSON.stringify({ ...wakeUp, outcomes: told });
    if (fits(text)) messages.push({ name, text });
  }
  return [...messages, { text: JSON.stringify(wakeUp) }];
}

/**
 * Calls `onWakeUp` for each wake-up of any workspace, and for those with outcomes for the process that is called `name`; reconnects by
 * itself. @param name a UUID
 */
export function subscribeWakeUps(
  address: QueueAddress,
  name: string,
  logger: Logger,
  onWakeUp: (wakeUp: WakeUp) => void,
): WakeUpSubscription {
  const receive = (text: string | undefined) => {
    const wakeUp = parseWakeUp(text ?? '');
    if (wakeUp === undefined) logger.warn('a wake-up could not be read', { chars: text?.length });
    else onWakeUp(wakeUp);
  };
  return address.kind === 'redis'
    ? subscribeRedis(address, name, logger, receive)
    : listenPostgres(address, name, logger, receive);
}

function subscribeRedis(
  address: QueueAddress & { kind: 'redis' },
  name: string,
  logger: Logger,
  receive: (text: string) => void,
): WakeUpSubscription {
  const redis = connectWorker(address);
  const ignore = (error: unknown) => logger.debug('wake-ups: Redis does not answer', describeError(error));
  redis.on('error', ignore);
  redis.on('message', (_channel, text) => receive(text));
  // ioredis subscribes again by itself after a reconnect.
  redis
    .subscribe(redisChannel(address.prefix), redisChannel(address.prefix, name))
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
  name: string,
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
      .then(() => connecting.query(`LISTEN ${postgresChannel()}; LISTEN "${postgresChannel(name)}"`))
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
    const { workspaceId, seq, settledUpTo, batchIds, outcomes } = JSON.parse(text);
    const isWakeUp = typeof workspaceId === 'string' && typeof seq === 'number' && typeof settledUpTo === 'number';
    if (!isWakeUp) return undefined;
    return { workspaceId, seq, settledUpTo, batchIds: Array.isArray(batchIds) ? batchIds : [], outcomes };
  } catch {
    return undefined;
  }
}
