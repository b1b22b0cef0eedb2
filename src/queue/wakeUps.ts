// "Workspace W is settled up to operation N": from whoever applied it to every api process, over Redis pub/sub, or LISTEN/NOTIFY
// where PostgreSQL is the queue; and what became of the operations, to the process that waits for them. A wake-up may be lost (nobody relies on
// it alone: waiters look for themselves now and then).
import pg from 'pg';
import { describeError, type Logger } from '../logger.js';
import {
  connectProducer,
  connectWorker,
  type PostgresQueueAddress,
  type QueueAddress,
  type RedisQueueAddress,
} from './backend.js';
import { withTimeLimit } from './producer.js';

export interface WakeUp {
  workspaceId: string;
  /** The workspace's seq after the transaction. */
  seq: number;
  /** Every operation up to this id that was due has been settled. */
  settledUpTo: number;
  /** Batches that moved; some may be missing where there were very many. */
  batchIds: string[];
  /** Of the database in which that is so (FeedHead): a hint from any other one is none. */
  incarnation: string;
}

export interface WakeUpPublisher {
  /** The most operations whose outcomes may fit into a wake-up. */
  readonly outcomesMax: number;
  /**
   * Never throws and never waits for long: a wake-up that cannot be sent is only late.
   * @param outcomes what became of operations, by the name of the process that waits for them; what is too long is left out
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

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const NOTIFY = 'SELECT pg_notify(m.channel, m.text) FROM unnest($1::text[], $2::text[]) AS m(channel, text)';

/** Channels reach across the database numbers of Redis: the installation's name tells them apart. Those of PostgreSQL end at the database. */
export function channelOf(address: QueueAddress, name?: string): string {
  if (address.kind === 'postgres') return name === undefined ? POSTGRES_CHANNEL : `${POSTGRES_CHANNEL}_${name}`;
  return `${address.sharedPrefix}:wake-up:${address.installation()}${name === undefined ? '' : `:${name}`}`;
}

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
        const commands = messages.map(({ name, text }) => ['publish', channelOf(address, name), text]);
        const sending = redis.pipeline(commands).exec();
        // A pipeline does not fail with its commands.
        sending.then((results) => {
          const failed = results?.find(([error]) => error !== null);
          if (failed !== undefined) ignore(failed[0]);
        }, ignore);
      },
      close: async () => redis.disconnect(),
    };
  }
  const open = () => {
    const opened = new pg.Pool({ ...address.database, max: 1, connectionTimeoutMillis: address.connectTimeoutMs });
    opened.on('error', ignore);
    return opened;
  };
  let pool = open();
  const stopMoving = address.onMove(() => {
    const left = pool;
    pool = open();
    left.end().catch(ignore);
  });
  return {
    outcomesMax: POSTGRES_OUTCOMES_MAX,
    publish(wakeUp, outcomes) {
      const messages = messagesOf(wakeUp, outcomes, (text) => Buffer.byteLength(text) <= POSTGRES_PAYLOAD_MAX_BYTES);
      const channels = messages.map(({ name }) => channelOf(address, name));
      const texts = messages.map(({ text }) => text);
      pool.query(NOTIFY, [channels, texts]).catch(ignore);
    },
    close() {
      stopMoving();
      return pool.end();
    },
  };
}

/** The outcomes, each to who waits for them, and then to everybody the wake-up, with which he looks at them. */
function messagesOf(
  wakeUp: WakeUp,
  outcomes: ReadonlyMap<string, unknown> | undefined,
  fits: (text: string) => boolean,
): { name?: string; text: string }[] {
  const told = [...(outcomes ?? [])].map(([name, each]) => ({ name, text: JSON.stringify(each) }));
  return [...told.filter(({ text }) => fits(text)), { text: JSON.stringify(wakeUp) }];
}

export interface WakeUpListener {
  /** A UUID that no other process has: under which outcomes are sent to this one. */
  name: string;
  /** Takes each wake-up of any workspace. */
  onWakeUp(wakeUp: WakeUp): void;
  /** Takes what was sent to `name`, whatever it is. */
  onOutcomes(outcomes: unknown): void;
}

type Receive = (channel: string, text: string) => void;

/** Listens; reconnects by itself. */
export function subscribeWakeUps(address: QueueAddress, logger: Logger, listener: WakeUpListener): WakeUpSubscription {
  const channels = () => ({ all: channelOf(address), own: channelOf(address, listener.name) });
  const receive: Receive = (channel, text) => {
    const { all, own } = channels();
    // Of an installation that this process has left.
    if (channel !== all && channel !== own) return;
    const message = parseMessage(text);
    const wakeUp = channel === own ? undefined : readWakeUp(message);
    if (wakeUp !== undefined) listener.onWakeUp(wakeUp);
    else if (channel === own && message !== undefined) listener.onOutcomes(message);
    // Its length alone: what became of tasks may stand in it.
    else logger.warn('a wake-up could not be read', { chars: text.length });
  };
  const listed = () => Object.values(channels());
  return address.kind === 'redis'
    ? subscribeRedis(address, listed, logger, receive)
    : listenPostgres(address, listed, logger, receive);
}

function subscribeRedis(
  address: RedisQueueAddress,
  channels: () => string[],
  logger: Logger,
  receive: Receive,
): WakeUpSubscription {
  const redis = connectWorker(address);
  const ignore = (error: unknown) => logger.debug('wake-ups: Redis does not answer', describeError(error));
  redis.on('error', ignore);
  redis.on('message', receive);
  // One by one: Redis refuses all where a user may not have one of them. ioredis subscribes again by itself after a reconnect.
  const subscribe = (names: string[]) => {
    for (const name of names) {
      redis.subscribe(name).catch((error: unknown) => logger.debug('wake-ups: not subscribed', describeError(error)));
    }
  };
  let subscribed = channels();
  subscribe(subscribed);
  const stopMoving = address.onMove(() => {
    redis.unsubscribe(...subscribed).catch(ignore);
    subscribed = channels();
    subscribe(subscribed);
  });
  // A subscriber only listens: a connection that has died without a word would not be missed.
  const timer = setInterval(() => {
    if (redis.status === 'ready') redis.ping().catch(ignore);
  }, PING_EVERY_MS);
  return {
    async close() {
      stopMoving();
      clearInterval(timer);
      redis.disconnect();
    },
  };
}

function listenPostgres(
  address: PostgresQueueAddress,
  channels: () => string[],
  logger: Logger,
  receive: Receive,
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
    connecting.on('notification', ({ channel, payload = '' }) => receive(channel, payload));
    connecting
      .connect()
      .then(() =>
        connecting.query(
          channels()
            .map((channel) => `LISTEN ${pg.escapeIdentifier(channel)}`)
            .join('; '),
        ),
      )
      .catch(reconnectLater);
  };
  listen();
  const stopMoving = address.onMove(() => client?.connection.stream.destroy());
  return {
    async close() {
      stopMoving();
      isClosed = true;
      clearInterval(ping);
      clearTimeout(timer);
      await client?.end();
    },
  };
}

/** @returns undefined for what is no JSON */
function parseMessage(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @returns undefined for what is no wake-up */
function readWakeUp(message: unknown): WakeUp | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  if (!('workspaceId' in message && 'seq' in message && 'settledUpTo' in message)) return undefined;
  const { workspaceId, seq, settledUpTo } = message;
  if (typeof workspaceId !== 'string' || typeof seq !== 'number' || typeof settledUpTo !== 'number') return undefined;
  const sent = 'batchIds' in message && Array.isArray(message.batchIds) ? message.batchIds : [];
  const batchIds = sent.filter((id) => typeof id === 'string' && UUID.test(id)).slice(0, WAKE_UP_BATCHES_MAX);
  // Versions before this one did not say it: theirs is one of another database, which makes who hears it look.
  const incarnation = 'incarnation' in message && typeof message.incarnation === 'string' ? message.incarnation : '';
  return { workspaceId, seq, settledUpTo, batchIds, incarnation };
}
