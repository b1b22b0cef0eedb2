// Wiring of a worker process: jobs, the reconciler, and health checks on WORKER_HEALTH_PORT if that is set. Whatever it opened closes
// with `shutdown`, jobs first.
import type { Config } from '../config/index.js';
import { createAdminAccess } from '../src/adminAccess.js';
import { createBrowserAccess } from '../src/browserAccess.js';
import { connect } from '../src/connect.js';
import type { Logger } from '../src/logger.js';
import { createFigures } from '../src/metrics/figures.js';
import { createWorkerMetrics } from '../src/metrics/workerMetrics.js';
import { newId } from '../src/newId.js';
import { startConsumer } from '../src/queue/consumer.js';
import { startMaintenance } from '../src/queue/maintenance.js';
import { createWakeUpPublisher, WAKE_UP_BATCHES_MAX } from '../src/queue/wakeUps.js';
import type { Shutdown } from '../src/shutdown.js';
import { openDatabase } from '../src/storage/database.js';
import { readIncarnation } from '../src/storage/readChanges.js';
import { createServerClock } from '../src/sync/clock.js';
import { watchTimeLine } from '../src/timeLine.js';
import { compactInSteps } from './compactInSteps.js';
import { startHealthServer } from './healthServer.js';
import { createJobProcessor } from './processJob.js';
import { startReconciler } from './reconcile.js';
import { createStartGuard } from './startGuard.js';

/** Starts working once the database answers and is migrated. @param nowMs the server's clock, for tests; else it is the database's */
export async function startWorker(
  config: Config,
  logger: Logger,
  shutdown: Shutdown,
  nowMs?: () => number,
): Promise<void> {
  const { database, address, timeLine, queue, producer, clock } = await connect(config, 'worker', logger, shutdown);
  const wakeUps = createWakeUpPublisher(queue, logger);
  shutdown.push('wake-ups', () => wakeUps.close());

  const { nowMicros } = createServerClock(nowMs ?? clock.nowMs);
  const metrics = createWorkerMetrics(createFigures({ database, producer, logger, skewMs: clock.skewMs }), nowMicros);
  const marks = openDatabase(address, { ...config.database, poolSize: 1 }, 'worker starts', database.watchSilence);
  shutdown.push('marks of starts', () => marks.close());
  timeLine.onChange(marks.startOver);
  shutdown.push(
    'time line',
    watchTimeLine(timeLine, () => readIncarnation(database), logger),
  );
  const processJob = createJobProcessor({
    database,
    logger,
    retry: config.retry,
    strategy: config.sync.conflictStrategy,
    transactionSize: config.sync.transactionSize,
    nowMicros,
    random: Math.random,
    newServerId: newId,
    outcomesMax: wakeUps.outcomesMax,
    startGuard: createStartGuard(marks, logger),
    onFailed: metrics.failed,
    onApplied: (workspaceId, applied, elapsedMs) => {
      const { settled, outcomes, seq, incarnation, settledUpTo, batchIds, waitedS, told } = applied;
      metrics.applied(outcomes, waitedS, elapsedMs);
      const movedBatches = batchIds.slice(0, WAKE_UP_BATCHES_MAX);
      wakeUps.publish({ workspaceId, seq, settledUpTo, batchIds: movedBatches, incarnation }, told);
      logger.info('operations were applied', { workspaceId, settled, ...outcomes, seq });
    },
  });
  const { intervalMs, ...compaction } = config.compaction;
  const maintenance = startMaintenance(
    queue,
    () => compactInSteps({ database, logger, nowMicros, ...compaction, signal: shutdown.signal }, intervalMs),
    { intervalMs, timeoutMs: config.queue.commandTimeoutMs, logger },
  );
  shutdown.push('maintenance', () => maintenance.close());
  const { reconcileAfterMs, reconcileDirectAfterMs, reconcileIntervalMs, concurrency } = config.worker;
  const reconciler = startReconciler(
    {
      database,
      producer,
      logger,
      nowMicros,
      afterMs: reconcileAfterMs,
      directAfterMs: reconcileDirectAfterMs,
      retryCapMs: config.retry.capMs,
      applyDirectly: processJob,
      onReconciled: metrics.reconciled,
      ensureSchedule: maintenance.ensureSchedule,
    },
    reconcileIntervalMs,
    shutdown.signal,
  );
  shutdown.push('reconciler', () => reconciler.stopped);
  const { retry } = config;
  const jobs = { concurrency, retry, random: Math.random, logger, onRun: metrics.job };
  const consumer = startConsumer(queue, processJob, jobs);
  shutdown.push('jobs', () => consumer.close());
  const { healthPort: port } = config.worker;
  if (port !== undefined) {
    const address = { host: config.host, port };
    const refuseStranger = createAdminAccess(config, () => performance.now());
    const browserAccess = createBrowserAccess(config.browsers);
    const health = await startHealthServer({
      database,
      metrics,
      logger,
      newId,
      refuseStranger,
      browserAccess,
      ...address,
    });
    shutdown.push('health checks', () => health.close());
  }
  logger.info('worker is running', { queue: queue.kind, installation: queue.installation(), concurrency });
}
