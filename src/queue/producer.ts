// Putting jobs into the queue, within a time limit: the operations are safe in PostgreSQL already, so a queue that does not answer
// costs a delay, never a request.
import { type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { createGroupCommit } from '../groupCommit.js';
import { describeError, type Logger } from '../logger.js';
import { connectProducer, postgresPool, type QueueAddress } from './backend.js';
import { type ApplyJob, jobOptions, QUEUE_NAME, shareJobs } from './jobs.js';
import { hasNoRoom, refusesWrites } from './redisMemory.js';

export interface QueueDepths {
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
}

export interface Producer {
  readonly backend: 'redis' | 'postgres';
  readonly queue: Queue<ApplyJob>;
  /** Another queue to look at, on the connection to Redis that this one has; it closes with the producer. */
  lookAt(name: string): Queue;
  /** Resolves when the queue answers, or when it has not for as long as an answer may take. */
  settle(): Promise<void>;
  /** @throws QueueUnavailable when the queue does not take the jobs in time; it may have taken them all the same */
  enqueue(jobs: ApplyJob[]): Promise<void>;
  /** Enqueues a job unless one of the same id is waiting or running. @throws QueueUnavailable */
  enqueueOnce(id: string, job: ApplyJob): Promise<void>;
  /** @throws QueueUnavailable */
  depths(): Promise<QueueDepths>;
  /** Whether Redis refuses writes because its memory is full (reading still works then). Never throws; false on PostgreSQL. */
  isFull(): Promise<boolean>;
  /** How many workers are connected. @throws QueueUnavailable */
  countWorkers(): Promise<number>;
  /** Removes failed jobs past their retention where the backend does not do it by itself. @throws QueueUnavailable */
  cleanFailed(maxAgeMs: number, limit: number): Promise<void>;
  /** Since when every try has failed, in ms since 1970; undefined while the queue answers. */
  downSinceMs(): number | undefined;
  close(): Promise<void>;
}

export class QueueUnavailable extends Error {
  override name = 'QueueUnavailable';
}

/**
 * Opens the producing side. It connects in the background and never throws for an unreachable queue.
 * @param options.timeoutMs how long the queue may take to answer
 * @param options.sharedJobSize the most operations of a job that several batches share
 */
export function createProducer(
  address: QueueAddress,
  logger: Logger,
  nowMs: () => number,
  { timeoutMs, sharedJobSize }: { timeoutMs: number; sharedJobSize: number },
): Producer {
  const redis = address.kind === 'redis' ? connectProducer(address) : undefined;
  const queue = openQueue<ApplyJob>(address, redis, QUEUE_NAME, 2);
  const lookedAt: Queue[] = [];
  const options = jobOptions(address.kind);
  let downSinceMs: number | undefined;
  /** Redis answered a write with a refusal: that it answers reads does not make it usable. */
  let isRefusing = false;
  let isClosing = false;

  const markDown = (error: unknown) => {
    if (isClosing) return;
    if (downSinceMs === undefined)
      logger.warn('the queue does not answer; operations wait in PostgreSQL', describeError(error));
    downSinceMs ??= nowMs();
  };
  const markUp = () => {
    isRefusing = false;
    if (downSinceMs !== undefined) logger.info('the queue answers again', { downMs: nowMs() - downSinceMs });
    downSinceMs = undefined;
  };
  queue.on('error', markDown);
  redis?.on('error', markDown);
  redis?.on('close', () => markDown(new Error('connection closed')));
  redis?.on('ready', markUp);

  async function ask<Answer>(question: () => Promise<Answer>, isWrite = false): Promise<Answer> {
    try {
      // BullMQ waits for ever for a Redis that was never there, even without an offline queue.
      if (redis !== undefined && redis.status !== 'ready') throw new Error('Redis is not connected');
      const answer = await withTimeLimit(question(), timeoutMs);
      if (isWrite || !isRefusing) markUp();
      return answer;
    } catch (error) {
      isRefusing ||= isWrite && refusesWrites(error);
      markDown(error);
      throw new QueueUnavailable(describeError(error).error, { cause: error });
    }
  }

  // Jobs that come while others are on their way go together, and share jobs as large as a transaction: the worker would apply smaller ones in one anyway.
  const addTogether = createGroupCommit((_key, jobs: ApplyJob[][]) => add(shareJobs(jobs.flat(), sharedJobSize)));
  const add = (jobs: ApplyJob[], extra: JobsOptions = {}) =>
    ask(async () => {
      await queue.addBulk(jobs.map((data) => ({ name: 'apply', data, opts: { ...options, ...extra } })));
    }, true);

  /** An operator who gave Redis more memory should not have to wait for the next batch to see that it helped. */
  async function isFull(): Promise<boolean> {
    if (redis === undefined || redis.status !== 'ready') return false;
    const state = await withTimeLimit(hasNoRoom(redis), timeoutMs).catch(() => undefined);
    if (state === false && isRefusing) markUp();
    return state ?? isRefusing;
  }

  return {
    backend: address.kind,
    queue,
    lookAt(name) {
      const other = openQueue(address, redis, name, 1);
      other.on('error', (error) => logger.debug('a queue that is only shown does not answer', describeError(error)));
      lookedAt.push(other);
      return other;
    },
    settle: () => withTimeLimit(queue.waitUntilReady(), timeoutMs).then(markUp, markDown),
    enqueue: (jobs) => (jobs.length === 0 ? Promise.resolve() : addTogether(QUEUE_NAME, jobs)),
    // A finished job must not hold its id: the next add of the same id would be swallowed without a word.
    enqueueOnce: (id, job) => add([job], { jobId: id, removeOnComplete: true, removeOnFail: true }),
    depths: () =>
      ask(async () => {
        const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed');
        const { waiting = 0, active = 0, delayed = 0, failed = 0 } = counts;
        return { waiting, active, delayed, failed };
      }),
    isFull,
    countWorkers: () => ask(() => queue.getWorkersCount()),
    cleanFailed: (maxAgeMs, limit) =>
      ask(async () => {
        if (address.kind === 'postgres') await queue.clean(maxAgeMs, limit, 'failed');
      }),
    downSinceMs: () => downSinceMs,
    async close() {
      isClosing = true;
      await Promise.all(lookedAt.map((other) => closeQueue(other, undefined, timeoutMs)));
      await closeQueue(queue, redis, timeoutMs);
    },
  };
}

/** @param connections at most, where it needs its own: on PostgreSQL */
function openQueue<Job>(address: QueueAddress, redis: Redis | undefined, name: string, connections: number) {
  const connection = redis ?? (address.kind === 'postgres' ? postgresPool(address, connections) : undefined);
  if (connection === undefined) throw new TypeError('a Redis queue needs its connection');
  const prefix = address.kind === 'redis' ? { prefix: address.prefix } : {};
  return new Queue<Job>(name, { connection, ...prefix });
}

/** A queue whose Redis was never reachable does not close by itself (BullMQ #4656): then its socket is cut. */
export async function closeQueue(queue: { close(): Promise<void> }, redis: Redis | undefined, timeoutMs: number) {
  await withTimeLimit(queue.close(), timeoutMs).catch(() => undefined);
  redis?.disconnect();
}

/** Rejects when `promise` has not settled within `timeoutMs`. */
export function withTimeLimit<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
