// One job: apply what is pending up to its last operation, then say what became of its batches, or its part of one. A job whose operations wait
// for another attempt comes back; one with failed operations fails, so that the dashboard shows why.
import { UnrecoverableError } from 'bullmq';
import { createGroupCommit } from '../src/groupCommit.js';
import { RetryLater } from '../src/queue/consumer.js';
import { type ApplyJob, batchesOf } from '../src/queue/jobs.js';
import type { BatchPart, BatchPartState } from '../src/storage/finishBatches.js';
import type { Waiting, WaitingBatch } from '../src/storage/toldOutcomes.js';
import { toMicros } from '../src/sync/timestamp.js';
import { type ApplyDeps, applyWorkspace } from './applyWorkspace.js';

type States = ReadonlyMap<string, BatchPartState>;

export interface ProcessDeps extends ApplyDeps {
  /** The most operations whose outcomes are told with a wake-up. */
  outcomesMax: number;
}

/** @returns the processor of jobs; its jobs of one workspace share transactions. */
export function createJobProcessor(deps: ProcessDeps) {
  const submit = createGroupCommit(async (workspaceId: string, jobs: ApplyJob[]): Promise<States> => {
    const upTo = Math.max(...jobs.map((job) => job.lastId));
    const states = await applyWorkspace(
      deps,
      workspaceId,
      upTo,
      jobs.flatMap(partsOf),
      waitingFor(jobs, deps.outcomesMax),
    );
    return new Map(states.map((state) => [keyOf(state), state]));
  });

  /** @throws RetryLater, UnrecoverableError, or the driver's error on a transient fault */
  return async function processJob(job: ApplyJob): Promise<{ operations: number }> {
    const states = await submit(job.workspaceId, job);
    judge(
      partsOf(job).flatMap((part) => states.get(keyOf(part)) ?? []),
      job,
      deps.nowMicros(),
      deps.retry.capMs,
    );
    return { operations: job.count };
  };
}

function partsOf(job: ApplyJob): BatchPart[] {
  const batches = batchesOf(job);
  return batches.length > 0 ? batches : [{ batchId: null, firstId: job.firstId, lastId: job.lastId }];
}

/** Who waits for batches that the jobs hold wholly. */
function waitingFor(jobs: ApplyJob[], max: number): Waiting {
  const batches = new Map<string, WaitingBatch>();
  for (const job of jobs) {
    const { replyTo, parts = 1 } = job;
    if (replyTo === undefined || parts > 1) continue;
    for (const { batchId, count } of batchesOf(job)) batches.set(batchId, { replyTo, count });
  }
  return { batches, max };
}

const keyOf = ({ batchId, firstId }: Pick<BatchPart, 'batchId' | 'firstId'>) => `${batchId} ${firstId}`;

function judge(states: BatchPartState[], job: ApplyJob, nowMicros: bigint, capMs: number) {
  const sum = (count: (state: BatchPartState) => number) => states.reduce((total, state) => total + count(state), 0);
  const pending = sum((state) => state.pending);
  if (pending > 0) {
    const waiting = states.filter((state) => state.pending > 0);
    const delaysMs = waiting.map(({ nextAttemptAt }) =>
      nextAttemptAt === null ? 0 : Number((toMicros(nextAttemptAt) - nowMicros) / 1000n) + 1,
    );
    // Not longer than any attempt is put off, whatever became of the clock since.
    const delayMs = Math.max(0, Math.min(capMs, ...delaysMs));
    throw new RetryLater(`${pending} of ${job.count} operations wait for another attempt`, delayMs);
  }
  const failed = sum((state) => state.failed);
  if (failed > 0) {
    const first = states.find(({ firstFailedId }) => firstFailedId !== null);
    const where = job.batches === undefined ? '' : ` (batch ${first?.batchId})`;
    // Not its error: that may quote what the user wrote, and the queue keeps what a job says.
    throw new UnrecoverableError(
      `${failed} of ${job.count} operations failed, first ${first?.firstFailedId}${where}: GET /api/sync/queue?status=failed says why`,
    );
  }
}
