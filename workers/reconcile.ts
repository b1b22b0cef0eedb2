// The reconciler: finds operations whose job was lost (Redis flushed, an add that never arrived) and dispatches their workspaces
// again; while the queue itself has not answered for too long it applies them directly. So Redis down is slower, not stopped.
// Many workers may find the same workspace: the job's id keeps all but one from enqueuing it, and the workspace's lock keeps all
// but one from applying it.
import { ALL_CLEAR, describeError, type Logger } from '../src/logger.js';
import { RetryLater } from '../src/queue/consumer.js';
import { type ApplyJob, KEEP_FAILED } from '../src/queue/jobs.js';
import type { Producer } from '../src/queue/producer.js';
import { removeHealedJobs } from '../src/removeHealedJobs.js';
import type { Database } from '../src/storage/database.js';
import { findStalled, type StalledWorkspace } from '../src/storage/findStalled.js';
import { resetAttempts } from '../src/storage/resetAttempts.js';
import { fromMicros } from '../src/sync/timestamp.js';

export interface ReconcileDeps {
  database: Database;
  producer: Producer;
  logger: Logger;
  nowMicros: () => bigint;
  /** Operations that waited less than this are their job's business. */
  afterMs: number;
  /** How long the queue must have been silent before operations are applied without it. */
  directAfterMs: number;
  /** No attempt is put off for longer. */
  retryCapMs: number;
  applyDirectly: (job: ApplyJob) => Promise<unknown>;
  /** Told how many workspaces were found, dispatched again, or applied without the queue. */
  onReconciled: (action: 'found' | 'dispatched' | 'applied', workspaces: number) => void;
  /** Makes the schedule of maintenance again if it was lost. */
  ensureSchedule: () => Promise<void>;
}

/** At most this many workspaces a round; the next round takes the others. */
const WORKSPACES_PER_ROUND = 100;
const CLEAN_EVERY_ROUNDS = 600;
const SCHEDULE_EVERY_ROUNDS = 60;
const HEALED_EVERY_ROUNDS = 60;

/** One round. @returns how many workspaces were dispatched or applied */
export async function reconcile(deps: ReconcileDeps): Promise<number> {
  // Somebody wants jobs to wait; more of them would only pile up.
  if ((await deps.producer.look()).state === 'paused') return 0;
  // What the queue does not take is waited for by nobody else.
  const afterMs = isAway(deps) ? 0 : deps.afterMs;
  const now = deps.nowMicros();
  const [acceptedBefore, future] = [now - BigInt(afterMs) * 1000n, now + BigInt(deps.afterMs) * 1000n].map(fromMicros);
  const stalled = await findStalled(deps.database, acceptedBefore ?? '', future ?? '', WORKSPACES_PER_ROUND);
  deps.onReconciled('found', stalled.length);
  for (const workspace of stalled) await dispatch(deps, workspace);
  return stalled.length;
}

const isAway = ({ producer, directAfterMs }: ReconcileDeps) => (producer.downForMs() ?? -1) >= directAfterMs;

async function dispatch(deps: ReconcileDeps, workspace: StalledWorkspace) {
  const { workspaceId, firstId, lastId } = workspace;
  await resetAttempts(deps.database, workspaceId, fromMicros(deps.nowMicros() + BigInt(deps.retryCapMs) * 2000n));
  const job: ApplyJob = { workspaceId, count: lastId - firstId + 1, firstId, lastId, reason: 'reconcile' };
  try {
    // An id of its own every `afterMs`: a job whose worker was killed holds its id for up to a minute, and swallows adds until then.
    const turn = deps.nowMicros() / (BigInt(deps.afterMs) * 1000n);
    await deps.producer.enqueueOnce(`reconcile-${firstId}-${lastId}-${turn}`, job);
    deps.onReconciled('dispatched', 1);
    deps.logger.info('waiting operations were dispatched again', { workspaceId, firstId, lastId });
  } catch (error) {
    if (!isAway(deps)) return;
    deps.logger.info('the queue is away; applying directly', { workspaceId, firstId, lastId, ...describeError(error) });
    await applyNow(deps, job);
  }
}

async function applyNow(deps: ReconcileDeps, job: ApplyJob) {
  try {
    await deps.applyDirectly(job);
    deps.onReconciled('applied', 1);
  } catch (error) {
    if (!(error instanceof RetryLater)) throw error;
    // What waits for another attempt is due in a later round.
    deps.logger.debug('some operations wait for another attempt', { workspaceId: job.workspaceId });
  }
}

/** Runs rounds every `intervalMs` until `signal` aborts; a round that fails is logged and the next one tries again. */
export function startReconciler(
  deps: ReconcileDeps,
  intervalMs: number,
  signal: AbortSignal,
): { stopped: Promise<void> } {
  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(done, intervalMs);
      function done() {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done);
    });
  async function loop() {
    let isFailing = false;
    for (let round = 1; !signal.aborted; round += 1) {
      try {
        await reconcile(deps);
        if (round % SCHEDULE_EVERY_ROUNDS === 0) await deps.ensureSchedule();
        if (round % HEALED_EVERY_ROUNDS === 0) await removeHealedJobs(deps.database, deps.producer);
        if (round % CLEAN_EVERY_ROUNDS === 0)
          await deps.producer.cleanFailed(KEEP_FAILED.age * 1_000, KEEP_FAILED.count);
        if (isFailing) deps.logger.info('the reconciler works again', ALL_CLEAR);
        isFailing = false;
      } catch (error) {
        deps.logger.warn('a reconciler round failed', describeError(error));
        isFailing = true;
      }
      await pause();
    }
  }
  return { stopped: loop() };
}
