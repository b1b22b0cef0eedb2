// The queue's name, what a job carries, and its options. A job carries ids only: the operations are in PostgreSQL (I1), and an empty
// Redis loses nothing but wake-ups.
import type { JobsOptions } from 'bullmq';

export const QUEUE_NAME = 'sync';

/** "Apply everything pending in this workspace up to lastId." What Bull Board shows of it. */
export interface ApplyJob {
  workspaceId: string;
  /** The batch that it belongs to; absent where there are several, and for a job that only picks up what was left behind. */
  batchId?: string;
  /** Batches that came together and share a job. */
  batches?: JobBatch[];
  /** Which part of the batch it is, from 1, and of how many. */
  part?: number;
  parts?: number;
  /** How many operations it stands for. */
  count: number;
  firstId: number;
  lastId: number;
  /** The api process that waits for its batches, by the name under which it is told of them. */
  replyTo?: string;
  /** Why it was made, when it is not for a batch: `reconcile`, `trigger`, `retry` or `discard`. */
  reason?: string;
}

/** What a job carries of one batch: all of it, or a part. */
export interface JobBatch {
  batchId: string;
  count: number;
  firstId: number;
  lastId: number;
}

/** At the cap of 30 s this is over eight hours of an unreachable database; then the reconciler goes on. */
const MAX_ATTEMPTS = 1_000;

/** Failed jobs stay to be looked at: the newest 1,000 for a week. */
export const KEEP_FAILED = { age: 7 * 24 * 3_600, count: 1_000 };

/**
 * @param backend completed jobs are kept on Redis for the dashboard; on PostgreSQL count-based retention deadlocks under
 *   concurrency (40P01), so there they go at once and failed ones are cleaned up by the reconciler
 */
export function jobOptions(backend: 'redis' | 'postgres'): JobsOptions {
  return {
    attempts: MAX_ATTEMPTS,
    backoff: { type: 'custom' },
    removeOnComplete: backend === 'redis' ? { age: 3_600, count: 200 } : true,
    removeOnFail: backend === 'redis' ? KEEP_FAILED : false,
    stackTraceLimit: 1,
  };
}

/**
 * Splits a batch's new operation ids into jobs of at most `batchSize`, so that progress moves and nobody waits behind a giant.
 * @param replyTo the process that waits for the batch, if one does
 */
export function jobsOfBatch(
  workspaceId: string,
  batchId: string,
  ids: number[],
  batchSize: number,
  replyTo?: string,
): ApplyJob[] {
  const parts = Math.ceil(ids.length / batchSize);
  return Array.from({ length: parts }, (_, index) => {
    const chunk = ids.slice(index * batchSize, (index + 1) * batchSize);
    return {
      workspaceId,
      batchId,
      ...(replyTo === undefined ? {} : { replyTo }),
      part: index + 1,
      parts,
      count: chunk.length,
      firstId: chunk.at(0) ?? 0,
      lastId: chunk.at(-1) ?? 0,
    };
  });
}

/** Jobs that go to the queue as one. */
interface JobGroup {
  first: ApplyJob;
  others: ApplyJob[];
  count: number;
}

/** Each takes some 90 bytes of a job, which the queue keeps and the dashboard shows. */
const SHARED_BATCHES_MAX = 50;

/**
 * Puts whole batches that go to the queue at the same moment into shared jobs of at most `operationsMax` operations, and of no more
 * batches than can be looked at: a job costs the queue, the producer and the worker the same whatever it carries. Parts of a large batch keep
 * jobs of their own.
 */
export function shareJobs(jobs: ApplyJob[], operationsMax: number): ApplyJob[] {
  const groups: JobGroup[] = [];
  const open = new Map<string, JobGroup>();
  for (const job of jobs) {
    const isWhole = job.batchId !== undefined && job.parts === 1;
    const group = isWhole ? open.get(job.workspaceId) : undefined;
    if (group !== undefined && hasRoom(group, job, operationsMax)) {
      group.others.push(job);
      group.count += job.count;
      continue;
    }
    const own = { first: job, others: [], count: job.count };
    groups.push(own);
    // Behind a part of a large batch nothing joins what stands before it: it would wait for all of that batch.
    if (isWhole) open.set(job.workspaceId, own);
    else open.delete(job.workspaceId);
  }
  return groups.map(joinJobs);
}

const hasRoom = ({ count, others }: JobGroup, job: ApplyJob, operationsMax: number) =>
  count + job.count <= operationsMax && others.length + 1 < SHARED_BATCHES_MAX;

function joinJobs({ first, others, count }: JobGroup): ApplyJob {
  if (others.length === 0) return first;
  const jobs = [first, ...others];
  // Those of one process have one name, unless nobody waits for them.
  const replyTo = jobs.find((job) => job.replyTo !== undefined)?.replyTo;
  return {
    workspaceId: first.workspaceId,
    ...(replyTo === undefined ? {} : { replyTo }),
    batches: jobs.flatMap(batchesOf),
    count,
    firstId: Math.min(...jobs.map(({ firstId }) => firstId)),
    lastId: Math.max(...jobs.map(({ lastId }) => lastId)),
  };
}

/** The batches, or the part of one, that a job stands for; none for one that was made for what was left behind. */
export function batchesOf({ batches, batchId, count, firstId, lastId }: ApplyJob): JobBatch[] {
  if (batches !== undefined) return batches;
  return batchId === undefined ? [] : [{ batchId, count, firstId, lastId }];
}
