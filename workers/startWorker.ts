// Wiring of a worker process: jobs, the reconciler, and health checks on WORKER_HEALTH_PORT if that is set. Whatever it opened closes
// with `shutdown`, jobs first.
import { v7 as newUuid } from 'uuid';
import type { Config } from '../config/index.js';
import { connect } from '../src/connect.js';
import type { Logger } from '../src/logger.js';
import { startConsumer } from '../src/queue/consumer.js';
import { startMaintenance } from '../src/queue/maintenance.js';
import { createWakeUpPublisher, WAKE_UP_BATCHES_MAX } from '../src/queue/wakeUps.js';
import type { Shutdown } from '../src/shutdown.js';
import { openDatabase } from '../src/storage/database.js';
import { createServerClock } from '../src/sync/clock.js';
import { compact } from './compact.js';
import { startHealthServer } from './healthServer.js';
import { createJobProcessor } from './processJob.js';
import { startReconciler } from './reconcile.js';
import { createStartGuard } from './startGuard.js';

/** Starts working once the database answers and is migrated. @param nowMs the server's clock */
export async function startWorker(
  config: Config,
  logger: Logger,
  shutdown: Shutdown,
  nowMs: () => number,
): Promise<void> {
  const { database, address, queue, producer } = await connect(config, 'worker', logger, shutdown, nowMs);
  const wakeUps = createWakeUpPublisher(queue, logger);
  shutdown.push('wake-ups', () => wakeUps.close());

  const { nowMicros } = createServerClock(nowMs);
  const marks = openDatabase(address, { ...config.database, poolSize: 1 }, 'worker starts');
  shutdown.push('marks of starts', () => marks.close());
  const processJob = createJobProcessor({
    database,
    logger,
    retry: config.retry,
    strategy: config.sync.conflictStrategy,
    transactionSize: config.sync.transactionSize,
    nowMicros,
    random: Math.random,
    newServerId: newUuid,
    startGuard: createStartGuard(marks, logger),
    onApplied: (workspaceId, { settled, outcomes, seq, lastId, batchIds }) => {
      wakeUps.publish({
        workspaceId,
        seq,
        settledUpTo: lastId,
        batchIds: batchIds.slice(0, WAKE_UP_BATCHES_MAX),
      });
      logger.info('operations were applied', { workspaceId, settled, ...outcomes, seq });
    },
  });
  const { intervalMs, ...compaction } = config.compaction;
  const maintenance = startMaintenance(
    queue,
    () => compact({ database, logger, nowMicros, ...compaction, signal: shutdown.signal }),
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
      applyDirectly: processJob,
      ensureSchedule: maintenance.ensureSchedule,
    },
    reconcileIntervalMs,
    shutdown.signal,
  );
  shutdown.push('reconciler', () => reconciler.stopped);
  const consumer = startConsumer(queue, processJob, { concurrency, retry: config.retry, random: Math.random, logger });
  shutdown.push('jobs', () => consumer.close());
  if (config.worker.healthPort !== undefined) {
    const health = await startHealthServer({ database, host: config.host, port: config.worker.healthPort });
    shutdown.push('health checks', () => health.close());
  }
  logger.info('worker is running', { queue: queue.kind, concurrency });
}
