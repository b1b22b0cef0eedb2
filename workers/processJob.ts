// One job: apply what is pending up to its last operation, then say what became of its part of the batch. A job whose operations wait
// for another attempt comes back; one with failed operations fails, so that the dashboard shows why.
import { UnrecoverableError } from 'bullmq';
import { createGroupCommit } from '../src/groupCommit.js';
import { RetryLater } from '../src/queue/consumer.js';
import type { ApplyJob } from '../src/queue/jobs.js';
import type { BatchPart, BatchPartState } from '../src/storage/finishBatches.js';
import { toMicros } from '../src/sync/timestamp.js';
import { type ApplyDeps, applyWorkspace } from './applyWorkspace.js';

/** @returns the processor of jobs; its jobs of one workspace share transactions. */
export function createJobProcessor(deps: ApplyDeps) {
  const submit = createGroupCommit(async (workspaceId: string, jobs: ApplyJob[]) => {
    const upTo = Math.max(...jobs.map((job) => job.lastId));
    return applyWorkspace(deps, workspaceId, upTo, jobs.map(partOf));
  });

  /** @throws RetryLater, UnrecoverableError, or the driver's error on a transient fault */
  return async function processJob(job: ApplyJob): Promise<{ operations: number }> {
    const states = await submit(job.workspaceId, job);
    const state = states.find(({ batchId, firstId }) => batchId === partOf(job).batchId && firstId === job.firstId);
    if (state !== undefined) judge(state, job, deps.nowMicros());
    return { operations: job.count };
  };
}

function partOf({ batchId, firstId, lastId }: ApplyJob): BatchPart {
  return { batchId: batchId ?? null, firstId, lastId };
}

function judge(state: BatchPartState, job: ApplyJob, nowMicros: bigint) {
  if (state.pending > 0) {
    const delayMs = state.nextAttemptAt === null ? 0 : Number((toMicros(state.nextAttemptAt) - nowMicros) / 1000n) + 1;
    throw new RetryLater(`${state.pending} of ${job.count} operations wait for another attempt`, Math.max(0, delayMs));
  }
  if (state.failed > 0) {
    throw new UnrecoverableError(`${state.failed} of ${job.count} operations failed; the first: ${state.error}`);
  }
}
