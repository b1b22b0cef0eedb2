// BullMQ's PostgreSQL backend, made so that nothing PostgreSQL does ends the process or keeps it from its jobs. BullMQ's own connection
// listens for errors of a session one turn after the session is there, listens to none during its first statement, and keeps a failure
// of that statement for ever: its worker asks for a job again without a pause then, and nothing else runs in the process (docs/decisions/0015).
import { setTimeout as sleep } from 'node:timers/promises';
import {
  assertSchemaCompatibility,
  DEFAULT_SCHEMA,
  PostgresConnection,
  PostgresQueueBackend,
  quoteSchemaName,
} from 'bullmq';
import pg from 'pg';

/** How long a first look that failed is remembered: whoever asks again and again goes round once a second. */
const LOOK_AGAIN_MS = 1_000;

/** How long a worker waits to be told of a job before it looks, in seconds; BullMQ's own limit is an hour after an outage. */
const WAIT_LIMIT_S = 5;

/**
 * The driver's client with somebody who listens to its errors from the beginning: one that nobody listens to ends the process. Whoever
 * uses it learns of its end from his statement, and from the second error that comes when its socket closes.
 */
export class AttendedClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

/**
 * Jobs that are added one by one. BullMQ's statement for many makes and drops two temporary tables: 6 ms and hundreds of dead catalog rows a
 * call, a third of what PostgreSQL did for a push. One alone takes 0.3 ms and a commit, and NOTIFY lets one commit at a time: with a disk that
 * takes 2 ms for each, three took 10 ms and eight 33, where the statement for many took 13.
 */
const ADDED_ONE_BY_ONE_MAX = 3;

/** The sessions of one queue or worker. A first look at the schema that failed is tried again by the next who asks, once a second. */
export class QueueDatabase extends PostgresConnection {
  private looking: Promise<void> | undefined;
  private ending: Promise<void> | undefined;

  /**
   * @param config of a pool of its own
   * @param listener the name of the session that waits for jobs, by which workers are counted; undefined where none waits. That session
   *   is one of the pool's: one that BullMQ makes beside the pool it listens to too late
   */
  constructor(config: pg.PoolConfig, listener: string | undefined) {
    const max = (config.max ?? 1) + (listener === undefined ? 0 : 1);
    const options = [config.options, `-c search_path=${quoteSchemaName(DEFAULT_SCHEMA)}`].filter(Boolean).join(' ');
    super(new pg.Pool({ ...config, max, options }));
    // Remembered for every such session, whatever becomes of the first one.
    if (listener !== undefined) this.setListenClientName(listener).catch(() => undefined);
  }

  override waitUntilReady(): Promise<void> {
    this.looking ??= this.look();
    return this.looking;
  }

  private async look() {
    try {
      await assertSchemaCompatibility(this.pool, this.schema);
    } catch (error) {
      await sleep(LOOK_AGAIN_MS);
      this.looking = undefined;
      throw error;
    }
    this.emit('ready');
  }

  override close(): Promise<void> {
    this.ending ??= super.close().then(() => this.pool.end());
    return this.ending;
  }
}

type JobEntries = Parameters<PostgresQueueBackend['addJobs']>[0];

/**
 * A session that ends between the answer to its LISTEN and BullMQ's wait ends unnoticed: the wait goes on, and the next session is taken
 * for one that listens already. So no wait is long, and one that brought nothing has the session listen again.
 */
export class QueueBackend extends PostgresQueueBackend {
  private isStopping = false;
  private hasTaken = false;

  /**
   * BullMQ's worker asks for another job whenever it has taken one: two statements more for one that comes alone. Here it hears at once that there
   * is none; before it waits it looks, so none that waits is passed over.
   */
  override async moveToActive(token: string, name?: string) {
    if (this.hasTaken) {
      this.hasTaken = false;
      return [];
    }
    const next = await super.moveToActive(token, name);
    this.hasTaken = Boolean(next[0]);
    return next;
  }

  override async addJobs(entries: JobEntries) {
    if (entries.length > ADDED_ONE_BY_ONE_MAX) return super.addJobs(entries);
    return Promise.all(entries.map(({ job, jobId, parentKeyOpts }) => this.addJob(job, jobId, parentKeyOpts)));
  }

  override async waitForJob(blockTimeout: number) {
    const marker = await super.waitForJob(Math.min(blockTimeout, WAIT_LIMIT_S));
    // Not in a worker that stops: it would begin to wait once more.
    if (marker === null && !this.isStopping) await this.reconnectBlocking();
    return marker;
  }

  override disconnectBlocking(wait?: boolean) {
    this.isStopping = true;
    return super.disconnectBlocking(wait);
  }
}
