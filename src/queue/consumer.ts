// The consuming side: a BullMQ worker on either backend, with our retry delays.
import { type Job, UnrecoverableError, Worker } from 'bullmq';
import { ALL_CLEAR, describeError, type Logger } from '../logger.js';
import { backoffDelayMs, type RetryOptions } from '../sync/retryPolicy.js';
import { connectWorker, postgresPool, type QueueAddress, RUN_RETRY_DELAY_MS } from './backend.js';
import { type ApplyJob, batchesOf, QUEUE_NAME } from './jobs.js';

/** Thrown by a job that wants to be run again after `delayMs`. */
export class RetryLater extends Error {
  override name = 'RetryLater';
  constructor(
    message: string,
    readonly delayMs: number,
  ) {
    super(message);
  }
}

export interface Consumer {
  /** Takes no new job and waits until the running ones have ended. */
  close(): Promise<void>;
}

export interface ConsumerOptions {
  concurrency: number;
  retry: RetryOptions;
  random: () => number;
  logger: Logger;
  /** Told what became of each run of a job. */
  onRun: (result: 'completed' | 'retried' | 'failed' | 'stalled') => void;
}

/** A job whose worker shows no sign of life for this long is given to another one; the effect is fenced in PostgreSQL. */
const LOCK_DURATION_MS = 30_000;

/**
 * The queue keeps the message of what a job throws, and shows it: ids and codes, as in the log, never what a user wrote.
 * @throws the error itself, where it is ours, else its description
 */
export function throwWithoutContent(error: unknown): never {
  if (error instanceof RetryLater || error instanceof UnrecoverableError) throw error;
  const { error: message, code } = describeError(error);
  throw Object.assign(new Error(message), code === undefined ? {} : { code });
}

/**
 * Starts taking jobs. What `process` throws puts the job back with exponential backoff, full jitter and a cap (or RetryLater's own
 * delay); an UnrecoverableError ends it.
 */
export function startConsumer(
  address: QueueAddress,
  process: (job: ApplyJob) => Promise<unknown>,
  options: ConsumerOptions,
): Consumer {
  const redis = address.kind === 'redis' ? connectWorker(address) : undefined;
  const { logger } = options;
  const answers = createAnswering(logger);
  redis?.on('ready', answers.succeeded);
  const open = () => {
    const worker = new Worker<ApplyJob>(
      QUEUE_NAME,
      (job: Job<ApplyJob>) => process(job.data).catch(throwWithoutContent),
      {
        connection: redis ?? (address.kind === 'postgres' ? postgresPool(address, 3) : {}),
        ...(address.kind === 'redis' ? { prefix: address.prefix } : {}),
        concurrency: options.concurrency,
        lockDuration: LOCK_DURATION_MS,
        runRetryDelay: RUN_RETRY_DELAY_MS,
        settings: {
          backoffStrategy: (attemptsMade, _type, error) =>
            error instanceof RetryLater ? error.delayMs : backoffDelayMs(attemptsMade, options.retry, options.random()),
        },
      },
    );
    attendWorker(worker, options, answers);
    return worker;
  };
  const ignore = (error: unknown) => logger.debug('the queue was away while closing', describeError(error));
  let worker = open();
  const stopMoving = address.onMove(() => {
    const left = worker;
    worker = open();
    // What it has begun it may end, but not where its queue is on a server that may be gone. Its other jobs are wake-ups for what is gone (I1).
    left.close(address.kind === 'postgres').catch(ignore);
  });
  return {
    async close() {
      stopMoving();
      // BullMQ waits for ever for a Redis that is away: then only the connections are cut.
      const isAway = redis !== undefined && redis.status !== 'ready';
      if (isAway) void worker.close(true).catch(ignore);
      else await worker.close();
      redis?.disconnect();
    },
  };
}

/** Logs once that the queue does not answer, and once that it does again. */
function createAnswering(logger: Logger) {
  let isUp = true;
  return {
    failed(error: unknown) {
      if (isUp) logger.warn('the queue does not answer; trying again until it does', describeError(error));
      isUp = false;
    },
    succeeded() {
      if (!isUp) logger.info('the queue answers again', ALL_CLEAR);
      isUp = true;
    },
  };
}

/** Tells the log and the metrics what becomes of its jobs. */
function attendWorker(
  worker: Worker<ApplyJob>,
  { logger, onRun }: ConsumerOptions,
  answers: ReturnType<typeof createAnswering>,
) {
  worker.on('error', answers.failed);
  worker.on('active', answers.succeeded);
  worker.on('completed', () => onRun('completed'));
  worker.on('failed', (job, error) => {
    const isOver = job === undefined || job.finishedOn !== undefined;
    onRun(isOver ? 'failed' : 'retried');
    const batches = job === undefined ? [] : batchesOf(job.data);
    logger.warn('a job did not succeed', {
      jobId: job?.id,
      batches: batches.length,
      firstBatchId: batches[0]?.batchId,
      workspaceId: job?.data.workspaceId,
      attempts: job?.attemptsMade,
      ...describeError(error),
    });
  });
  worker.on('stalled', (jobId) => {
    onRun('stalled');
    logger.warn('a job lost its worker and runs again', { jobId });
  });
}
