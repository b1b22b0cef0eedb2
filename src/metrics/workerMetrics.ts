// What a worker tells Prometheus beside the metrics of every process.
import { Counter, Histogram } from 'prom-client';
import type { Outcome } from '../sync/merge.js';
import { createProcessMetrics, DURATION_BUCKETS, type ProcessMetrics } from './processMetrics.js';

export type JobResult = 'completed' | 'retried' | 'failed' | 'stalled';
export type ReconcilerAction = 'found' | 'dispatched' | 'applied';

export interface WorkerMetrics extends ProcessMetrics {
  /** One committed transaction. @param waitedS how long each of its operations had waited when it began, in seconds */
  applied(outcomes: Partial<Record<Outcome, number>>, waitedS: readonly number[], elapsedMs: number): void;
  /** One operation was given up. */
  failed(): void;
  /** One run of a job ended, or its worker was lost. */
  job(result: JobResult): void;
  /** The reconciler met workspaces whose job was lost. */
  reconciled(action: ReconcilerAction, workspaces: number): void;
}

export function createWorkerMetrics(...shared: Parameters<typeof createProcessMetrics>): WorkerMetrics {
  const common = createProcessMetrics(...shared);
  const registers = [common.registry];
  const applied = new Counter({
    name: 'task_sync_operations_applied_total',
    help: 'Operations applied, by outcome.',
    labelNames: ['outcome'],
    registers,
  });
  const failed = new Counter({
    name: 'task_sync_operations_failed_total',
    help: 'Operations that were given up.',
    registers,
  });
  const waited = new Histogram({
    name: 'task_sync_operation_wait_seconds',
    help: 'From the acceptance of an operation to the transaction that applies it.',
    buckets: DURATION_BUCKETS,
    registers,
  });
  const duration = new Histogram({
    name: 'task_sync_apply_duration_seconds',
    help: 'A transaction that applied operations, the wait for its workspace included.',
    buckets: DURATION_BUCKETS,
    registers,
  });
  const jobs = new Counter({
    name: 'task_sync_jobs_total',
    help: 'Runs of jobs, by what became of them.',
    labelNames: ['result'],
    registers,
  });
  const reconciled = new Counter({
    name: 'task_sync_reconciled_workspaces_total',
    help: 'Workspaces whose job was lost: found, dispatched again, or applied without the queue.',
    labelNames: ['action'],
    registers,
  });
  for (const outcome of ['success', 'conflict', 'exists', 'not_found'] satisfies Outcome[]) applied.inc({ outcome }, 0);
  for (const result of ['completed', 'retried', 'failed', 'stalled'] satisfies JobResult[]) jobs.inc({ result }, 0);
  for (const action of ['found', 'dispatched', 'applied'] satisfies ReconcilerAction[]) reconciled.inc({ action }, 0);
  return {
    ...common,
    applied(outcomes, waitedS, elapsedMs) {
      for (const [outcome, count] of Object.entries(outcomes)) applied.inc({ outcome }, count);
      for (const seconds of waitedS) waited.observe(Math.max(0, seconds));
      duration.observe(elapsedMs / 1_000);
    },
    failed: () => failed.inc(),
    job: (result) => jobs.inc({ result }),
    reconciled: (action, workspaces) => reconciled.inc({ action }, workspaces),
  };
}
