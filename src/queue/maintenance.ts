// The queue of scheduled work, apart from that of operations: its depths and its retries are nobody's progress. BullMQ's job scheduler
// makes one job an interval, however many workers there are. The schedule lives in the queue and may be lost with it, so every worker
// makes it again at its start and now and then.
import { Queue, Worker } from 'bullmq';
import { ALL_CLEAR, describeError, type Logger } from '../logger.js';
import { removeAbandoned } from './abandoned.js';
import { connectProducer, connectWorker, postgresPool, type QueueAddress, RUN_RETRY_DELAY_MS } from './backend.js';
import { throwWithoutContent } from './consumer.js';
import { QUEUE_NAME } from './jobs.js';
import { closeQueue, withTimeLimit } from './producer.js';

export const MAINTENANCE_QUEUE_NAME = 'maintenance';
const COMPACTION = 'compaction';

/** Runs that stay in the queue for a look at them. */
const KEEP_RUNS = { count: 50 };

export interface Maintenance {
  /** Makes the schedule unless it is there. Never throws: a queue that is away is tried again by the next call. */
  ensureSchedule(): Promise<void>;
  /** Takes no new job and waits until the running one has ended. */
  close(): Promise<void>;
}

export interface MaintenanceOptions {
  intervalMs: number;
  /** How long the queue may take to answer. */
  timeoutMs: number;
  logger: Logger;
}

/**
 * Takes part in the scheduled work: makes the schedule and runs `run` when it is this worker's turn. What `run` throws fails that job;
 * the next interval brings the next one.
 */
export function startMaintenance(
  address: QueueAddress,
  run: () => Promise<unknown>,
  options: MaintenanceOptions,
): Maintenance {
  const { logger, timeoutMs } = options;
  const redis =
    address.kind === 'redis' ? { asks: connectProducer(address), waits: connectWorker(address) } : undefined;
  const pool = (max: number) => (address.kind === 'postgres' ? postgresPool(address, max) : {});
  const ignore = (error: unknown) => logger.debug('scheduled work: the queue does not answer', describeError(error));
  const open = () => {
    const prefix = address.kind === 'redis' ? { prefix: address.prefix } : {};
    const queue = new Queue(MAINTENANCE_QUEUE_NAME, { connection: redis?.asks ?? pool(1), ...prefix });
    const worker = new Worker(MAINTENANCE_QUEUE_NAME, () => run().catch(throwWithoutContent), {
      connection: redis?.waits ?? pool(2),
      ...prefix,
      runRetryDelay: RUN_RETRY_DELAY_MS,
    });
    queue.on('error', ignore);
    worker.on('error', ignore);
    worker.on('failed', (job, error) =>
      logger.warn('scheduled work did not succeed', { jobId: job?.id, ...describeError(error) }),
    );
    return { queue, worker };
  };
  redis?.asks.on('error', ignore);
  let { queue, worker } = open();

  /** Other installations may have left something on this Redis. */
  async function tidyUp() {
    if (address.kind !== 'redis' || redis === undefined) return;
    const names = [QUEUE_NAME, MAINTENANCE_QUEUE_NAME];
    const removed = await removeAbandoned(redis.asks, address.sharedPrefix, address.installation(), names);
    if (removed.length > 0) logger.info('keys of installations that are gone were removed from Redis', { removed });
  }

  let isPaused = false;
  async function ensureSchedule() {
    // BullMQ waits for ever for a Redis that was never there.
    if (redis !== undefined && redis.asks.status !== 'ready') return;
    await withTimeLimit(schedule(queue, address.kind, options.intervalMs), timeoutMs).catch(ignore);
    const paused = await withTimeLimit(queue.isPaused(), timeoutMs).catch(() => isPaused);
    if (paused && !isPaused) logger.warn('the queue of scheduled work is paused: nothing is compacted');
    if (!paused && isPaused) logger.info('the queue of scheduled work goes on', ALL_CLEAR);
    isPaused = paused;
    await tidyUp().catch(ignore);
  }
  redis?.asks.on('ready', () => void ensureSchedule());
  void ensureSchedule();
  const stopMoving = address.onMove(() => {
    const left = { queue, worker };
    ({ queue, worker } = open());
    left.worker.close(address.kind === 'postgres').catch(ignore);
    void closeQueue(left.queue, undefined, timeoutMs);
    void ensureSchedule();
  });

  return {
    ensureSchedule,
    async close() {
      stopMoving();
      // As startConsumer: a Redis that is away would be waited for without end.
      const isAway = redis !== undefined && redis.waits.status !== 'ready';
      if (isAway) void worker.close(true).catch(ignore);
      else await worker.close();
      redis?.waits.disconnect();
      await closeQueue(queue, redis?.asks, timeoutMs);
    },
  };
}

/** Looks before it writes: putting the schedule in again and again would move its next run. */
async function schedule(queue: Queue, backend: 'redis' | 'postgres', intervalMs: number) {
  const existing = await queue.getJobScheduler(COMPACTION);
  // Made by a clock that was ahead, it would rest until that time has come.
  const isNear = existing?.next === undefined || existing.next - Date.now() <= 2 * intervalMs;
  if (existing?.every === intervalMs && isNear) return;
  if (!isNear) await queue.removeJobScheduler(COMPACTION);
  // On PostgreSQL retention by count deadlocks (see jobOptions).
  const keep = backend === 'redis' ? KEEP_RUNS : true;
  const opts = { removeOnComplete: keep, removeOnFail: keep };
  await queue.upsertJobScheduler(COMPACTION, { every: intervalMs }, { name: COMPACTION, opts });
}
