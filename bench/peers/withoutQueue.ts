// The product's own code with the queue taken out: the api and the worker in one process, where what the api enqueues is applied at once by
// the worker's job processor, with its group commit. What a queue costs is what lies between this and the product.
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../config/index.js';
import { createAccept } from '../../src/api/accepting.js';
import { startAdmission } from '../../src/api/admission/startAdmission.js';
import { createAnswers } from '../../src/api/answers.js';
import { createApp } from '../../src/api/app.js';
import { createExpressServer } from '../../src/api/expressServer.js';
import { createLevels } from '../../src/api/levels.js';
import { createOpenStreams } from '../../src/api/openStreams.js';
import { createReadOutcomes } from '../../src/api/readingOutcomes.js';
import { createReadPage } from '../../src/api/sharedPages.js';
import { createTails } from '../../src/api/tails.js';
import { createToldBatches } from '../../src/api/toldBatches.js';
import { createBrowserAccess } from '../../src/browserAccess.js';
import { connect } from '../../src/connect.js';
import { listen } from '../../src/listen.js';
import { createLogger } from '../../src/logger.js';
import { createApiMetrics } from '../../src/metrics/apiMetrics.js';
import { createFigures } from '../../src/metrics/figures.js';
import { newId } from '../../src/newId.js';
import type { ApplyJob } from '../../src/queue/jobs.js';
import { createShutdown, stopOnSignals } from '../../src/shutdown.js';
import { openDatabase } from '../../src/storage/database.js';
import { createServerClock } from '../../src/sync/clock.js';
import { createJobProcessor } from '../../workers/processJob.js';
import { createStartGuard } from '../../workers/startGuard.js';

const ATTEMPTS = 50;
const RETRY_AFTER_MS = 100;

const { port, env }: { port: number; env: Record<string, string> } = JSON.parse(process.argv[2] ?? '{}');
const config = loadConfig(env);
const logger = createLogger({ level: config.logLevel, process: 'api' });
const shutdown = createShutdown(logger, config.shutdownTimeoutMs);
stopOnSignals(shutdown);
// The queue is opened, because the wiring wants one, and never used.
const { database, timeLine, address, producer } = await connect(config, 'bench', logger, shutdown);
const levels = createLevels(database, timeLine, logger);
const toldBatches = createToldBatches(newId(), timeLine);
const clock = createServerClock(Date.now);
const metrics = createApiMetrics(createFigures({ database, producer, logger, skewMs: () => 0 }), clock.nowMicros);
const marks = openDatabase(address, { ...config.database, poolSize: 1 }, 'bench starts');
shutdown.push('marks of starts', () => marks.close());
const processJob = createJobProcessor({
  database,
  logger,
  retry: config.retry,
  strategy: config.sync.conflictStrategy,
  transactionSize: config.sync.transactionSize,
  nowMicros: clock.nowMicros,
  random: Math.random,
  newServerId: newId,
  outcomesMax: 100,
  startGuard: createStartGuard(marks, logger),
  onFailed: () => undefined,
  onApplied: (workspaceId, { seq, incarnation, lastId, settled, told }) => {
    for (const outcomes of told.values()) toldBatches.receive(outcomes);
    levels.receive({ workspaceId, seq, settledUpTo: lastId, batchIds: [], incarnation });
    logger.info('operations were applied', { workspaceId, settled, seq });
  },
});
/** Tries again, as a queue would: api and worker share a pool here, and one may find it empty for too long. */
async function apply(job: ApplyJob) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await processJob(job);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await sleep(RETRY_AFTER_MS);
    }
  }
}

const enqueue = async (jobs: ApplyJob[]) => {
  // As with a queue: the request does not wait for the job but for the wake-up.
  for (const job of jobs) apply(job).catch((error: unknown) => logger.error('a job failed', { error: String(error) }));
};
const answers = createAnswers(config.answers, () => undefined);
const app = createApp({
  config,
  browserAccess: createBrowserAccess(config.browsers),
  database,
  timeLine,
  accept: createAccept(database),
  readOutcomes: createReadOutcomes(database, timeLine, config.responseLimitBytes),
  readPage: createReadPage(database, timeLine),
  producer: { ...producer, enqueue },
  levels,
  toldBatches,
  tails: createTails({ database, timeLine, levels, logger }),
  streams: createOpenStreams(config.streamMax, metrics.streams, () => undefined),
  wakeUps: { outcomesMax: 0, publish: levels.receive, close: async () => undefined },
  logger,
  metrics,
  admission: startAdmission(config.admission, { database, answers, metrics, logger, shutdown }),
  answers,
  refuseStranger: () => undefined,
  random: Math.random,
  clock,
  newId,
  version: 'without a queue',
  stopping: shutdown.signal,
});
await listen(createExpressServer({ keepAliveTimeout: 65_000 }, app), port, '127.0.0.1');
process.stdout.write('peer is up\n');
