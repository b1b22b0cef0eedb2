// One job: apply what is pending up to its last operation, then say what became of its batches, or its part of one. A job whose operations wait
// for another attempt comes back; one with failed operations fails, so that the dashboard shows why.
import { UnrecoverableError } from 'bullmq';
import { createGroupCommit } from '../src/groupCommit.js';
import { RetryLater } from '../src/queue/consumer.js';
import { type ApplyJob, batchesOf } from '../src/queue/jobs.js';
import type { BatchPart, BatchPartState } from '../src/storage/finishBatches.js';
import { toMicros } from '../src/sync/timestamp.js';
import { type ApplyDeps, applyWorkspace } from './applyWorkspace.js';

type States = ReadonlyMap<string, BatchPartState>;

export interface ProcessDeps extends ApplyDeps {
  /** With jobs of more operations than this those who wait are not told the outcomes, which would not fit into a wake-up. */
  outcomesMax: number;
}

/** @returns the processor of jobs; its jobs of one workspace share transactions. */
export function createJobProcessor(deps: ProcessDeps) {
  const submit = createGroupCommit(async (workspaceId: string, jobs: ApplyJob[]): Promise<States> => {
    const upTo = Math.max(...jobs.map((job) => job.lastId));
    const waiting = waitingFor(jobs, deps.outcomesMax);
    const states = await applyWorkspace(deps, workspaceId, upTo, jobs.flatMap(partsOf), waiting);
    return new Map(states.map((state) => [keyOf(state), state]));
  });

  /** @throws RetryLater, UnrecoverableError, or the driver's error on a transient fault */
  return async function processJob(job: ApplyJob): Promise<{ operations: number }> {
    const states = await submit(job.workspaceId, job);
    judge(
      partsOf(job).flatMap((part) => states.get(keyOf(part)) ?? []),
      job,
      deps.nowMicros(),
    );
    return { operations: job.count };
  };
}

function partsOf(job: ApplyJob): BatchPart[] {
  const batches = batchesOf(job);
  return batches.length > 0 ? batches : [{ batchId: null, firstId: job.firstId, lastId: job.lastId }];
}

/** By the id of a batch the process that waits for it. */
function waitingFor(jobs: ApplyJob[], outcomesMax: number): Map<string, string> {
  const waiting = new Map<string, string>();
  if (jobs.reduce((total, job) => total + job.count, 0) > outcomesMax) return waiting;
  for (const job of jobs) {
    if (job.replyTo === undefined) continue;
    for (const { batchId } of batchesOf(job)) waiting.set(batchId, job.replyTo);
  }
  return waiting;
}

const keyOf = ({ batchId, firstId }: Pick<BatchPart, 'batchId' | 'firstId'>) => `${batchId} ${firstId}`;

function judge(states: BatchPartState[], job: ApplyJob, nowMicros: bigint) {
  const sum = (count: (state: BatchPartState) => number) => states.reduce((total, state) => total + count(state), 0);
  const pending = sum((state) => state.pending);
  if (pending > 0) {
    const waiting = states.filter((state) => state.pending > 0);
    const delaysMs = waiting.map(({ nextAttemptAt }) =>
      nextAttemptAt === null ? 0 : Number((toMicros(nextAttemptAt) - nowMicros) / 1000n) + 1,
    );
    const delayMs = Math.max(0, Math.min(...delaysMs));
    throw new RetryLater(`${pending} of ${job.count} operations wait for another attempt`, delayMs);
  }
  const failed = sum((state) => state.failed);
  if (failed > 0) {
    const first = states.find(({ error }) => error !== null);
    const where = job.batches === undefined ? '' : ` (batch ${first?.batchId})`;
    throw new UnrecoverableError(`${failed} of ${job.count} operations failed; the first${where}: ${first?.error}`);
  }
}
