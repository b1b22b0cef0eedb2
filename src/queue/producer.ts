// Putting jobs into the queue, within a time limit: the operations are safe in PostgreSQL already, so a queue that does not answer
// costs a delay, never a request.
import { type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { createGroupCommit } from '../groupCommit.js';
import { ALL_CLEAR, describeError, type Logger } from '../logger.js';
import { shareUnfinished } from '../shareUnfinished.js';
import { connectProducer, postgresPool, type QueueAddress } from './backend.js';
import { createQueueCondition, type QueueState, type Use } from './condition.js';
import { type ApplyJob, jobOptions, QUEUE_NAME, shareJobs } from './jobs.js';
import { probeWrite } from './writeProbe.js';

export interface QueueDepths {
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
}

/** What a look at the queue found. */
export interface QueueLook {
  /** `paused`: no job is given to workers. `limited`: somebody limits how many are a time, which the product never does. */
  state: QueueState | 'paused' | 'limited';
  /** The code by which Redis refuses jobs, like READONLY. */
  refusal?: string;
}

export interface FailedJob {
  id: string;
  data: ApplyJob;
}

export interface Producer {
  readonly backend: 'redis' | 'postgres';
  readonly queue: Queue<ApplyJob>;
  /** Another queue to look at, on the connection to Redis that this one has; it closes with the producer, and when that moves. */
  lookAt(name: string): Queue;
  /** Calls `listener` when the database has become another one, and `queue` is another queue. */
  onMove(listener: () => void): void;
  /** Resolves when the queue answers, or when it has not for as long as an answer may take. */
  settle(): Promise<void>;
  /** @throws QueueUnavailable when the queue does not take the jobs in time; it may have taken them all the same */
  enqueue(jobs: ApplyJob[]): Promise<void>;
  /** Enqueues a job unless one of the same id is waiting or running. @throws QueueUnavailable */
  enqueueOnce(id: string, job: ApplyJob): Promise<void>;
  /** @throws QueueUnavailable */
  depths(): Promise<QueueDepths>;
  /** Whether jobs are taken, and given to workers: tries a write. Never throws. */
  look(): Promise<QueueLook>;
  /** How many workers are connected. @throws QueueUnavailable */
  countWorkers(): Promise<number>;
  /** Removes failed jobs past their retention where the backend does not do it by itself. @throws QueueUnavailable */
  cleanFailed(maxAgeMs: number, limit: number): Promise<void>;
  /** Some of the failed jobs, newest first. @throws QueueUnavailable */
  failedJobs(offset: number, limit: number): Promise<FailedJob[]>;
  /** Removes jobs, whichever of them are still there. @throws QueueUnavailable */
  removeJobs(ids: string[]): Promise<void>;
  /** For how long jobs have not been taken, in ms; undefined while they are. */
  downForMs(): number | undefined;
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
  { timeoutMs, sharedJobSize }: { timeoutMs: number; sharedJobSize: number },
): Producer {
  const redis = address.kind === 'redis' ? connectProducer(address) : undefined;
  const open = () => {
    const opened = openQueue<ApplyJob>(address, redis, QUEUE_NAME, 2);
    opened.on('error', (error) => markDown(error));
    return opened;
  };
  let lookedAt: Queue[] = [];
  const options = jobOptions(address.kind);
  const condition = createQueueCondition(logger);
  let isClosing = false;

  const markDown = (error: unknown, use: Use = 'question') => {
    if (!isClosing) condition.failed(error, use);
  };
  const markUp = (use: Use = 'question') => condition.succeeded(use);
  let queue = open();
  redis?.on('error', (error) => markDown(error));
  redis?.on('close', () => markDown(new Error('connection closed')));
  redis?.on('ready', () => markUp());

  async function ask<Answer>(question: () => Promise<Answer>, use: Use = 'question'): Promise<Answer> {
    try {
      // BullMQ waits for ever for a Redis that was never there, even without an offline queue.
      if (redis !== undefined && redis.status !== 'ready') throw new Error('Redis is not connected');
      const answer = await withTimeLimit(question(), timeoutMs);
      markUp(use);
      return answer;
    } catch (error) {
      markDown(error, use);
      throw new QueueUnavailable(describeError(error).error, { cause: error });
    }
  }

  // Jobs that come while others are on their way go together, and share jobs as large as a transaction: the worker would apply smaller ones in one anyway.
  const addTogether = createGroupCommit((_key, jobs: ApplyJob[][]) => add(shareJobs(jobs.flat(), sharedJobSize)));
  const add = (jobs: ApplyJob[], extra: JobsOptions = {}) =>
    ask(async () => {
      await queue.addBulk(jobs.map((data) => ({ name: 'apply', data, opts: { ...options, ...extra } })));
    }, 'job');

  let held: 'paused' | 'limited' | undefined;
  const markHeld = (next: typeof held) => {
    if (next === held) return;
    held = next;
    if (next === undefined) logger.info('the queue gives jobs to workers again', ALL_CLEAR);
    else logger.warn(`the queue is ${next}: accepted operations wait`, { state: next });
  };

  /** One look serves all who ask at the same time. */
  const look = shareUnfinished(async (): Promise<QueueLook> => {
    try {
      if (address.kind === 'redis' && redis !== undefined) {
        const { prefix } = address;
        await ask(() => probeWrite(redis, prefix), 'probe');
      }
      const { paused, concurrency, max } = await ask(() => queue.getMeta());
      markHeld(paused === true || concurrency === 0 ? 'paused' : max === undefined ? undefined : 'limited');
    } catch (error) {
      if (!(error instanceof QueueUnavailable)) throw error;
    }
    const state = condition.state();
    const refusal = condition.refusal();
    return { state: state === 'up' ? (held ?? state) : state, ...(refusal === undefined ? {} : { refusal }) };
  });

  const listeners = new Set<() => void>();
  const stopMoving = address.onMove(() => {
    const left = [queue, ...lookedAt];
    queue = open();
    lookedAt = [];
    for (const listener of listeners) listener();
    for (const each of left) void closeQueue(each, undefined, timeoutMs);
  });

  return {
    backend: address.kind,
    get queue() {
      return queue;
    },
    onMove: (listener) => void listeners.add(listener),
    lookAt(name) {
      const other = openQueue(address, redis, name, 1);
      other.on('error', (error) => logger.debug('a queue that is only shown does not answer', describeError(error)));
      lookedAt.push(other);
      return other;
    },
    settle: () =>
      withTimeLimit(queue.waitUntilReady(), timeoutMs).then(
        () => markUp(),
        (error: unknown) => markDown(error),
      ),
    enqueue: (jobs) => (jobs.length === 0 ? Promise.resolve() : addTogether(QUEUE_NAME, jobs)),
    // A finished job must not hold its id: the next add of the same id would be swallowed without a word.
    enqueueOnce: (id, job) => add([job], { jobId: id, removeOnComplete: true, removeOnFail: true }),
    depths: () =>
      ask(async () => {
        const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed');
        const { waiting = 0, active = 0, delayed = 0, failed = 0 } = counts;
        return { waiting, active, delayed, failed };
      }),
    look,
    countWorkers: () => ask(() => queue.getWorkersCount()),
    cleanFailed: (maxAgeMs, limit) =>
      ask(async () => {
        if (address.kind === 'postgres') await queue.clean(maxAgeMs, limit, 'failed');
      }),
    failedJobs: (offset, limit) =>
      ask(async () => {
        const jobs = await queue.getFailed(offset, offset + limit - 1);
        return jobs.flatMap((job) => (job?.id === undefined ? [] : [{ id: job.id, data: job.data }]));
      }),
    removeJobs: (ids) => ask(async () => void (await Promise.all(ids.map((id) => queue.remove(id))))),
    downForMs: condition.downForMs,
    async close() {
      isClosing = true;
      stopMoving();
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
