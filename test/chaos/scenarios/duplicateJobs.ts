// Scenario 15: every job is delivered five times, concurrently, shuffled, some long after its operations were applied (I2).
import { loadConfig } from '../../../config/index.js';
import { createLogger } from '../../../src/logger.js';
import { type ApplyJob, jobsOfBatch } from '../../../src/queue/jobs.js';
import { createProducer, type Producer } from '../../../src/queue/producer.js';
import { shuffle } from '../../support/operations.js';
import { queryDatabase } from '../../support/postgres.js';
import { openQueueAddress } from '../../support/queueAddress.js';
import { pauseUntil } from '../fleet.js';
import { type Run, runPhases } from '../phases.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { startStack } from '../stack.js';

const DELIVERIES = 5;
const LOOK_EVERY_MS = 100;
const LATEST_MS = 4_000;
const TIMEOUT_MS = 2_000;

export const duplicateJobs: Scenario = {
  number: 15,
  name: 'duplicate-jobs',
  title: 'every job delivered five times, concurrently and shuffled',
  backends: ['redis', 'postgres'],
  options: { durationMs: 40_000, devices: 20, operations: 6_000, apis: 1, workers: 3, rounds: 0 },
  short: { durationMs: 8_000, devices: 6, operations: 600, workers: 2 },
  shortOn: ['postgres'],
  async run(context) {
    const stack = await startStack(context, context.options);
    const env = { ...(stack.redis === undefined ? {} : { REDIS_URL: stack.redis.url }) };
    const config = loadConfig(env);
    const queue = await openQueueAddress(config.queue, stack.databaseUrl);
    const logger = createLogger({ level: 'error', process: 'chaos' });
    // Copies that shared a job would be delivered once.
    const producer = createProducer(queue, logger, { timeoutMs: TIMEOUT_MS, sharedJobSize: 1 });
    await producer.settle();
    try {
      await runPhases(context, {
        stack,
        faults: (run) => deliverAgain(context, run, producer),
        // Its connections would be found as left behind.
        beforeStop: () => producer.close(),
      });
    } finally {
      await producer.close();
    }
    await stack.stopServers();
  },
};

/** Adds every job of every batch as often as it takes, at times of its own. */
async function deliverAgain(context: ScenarioContext, run: Run, producer: Producer) {
  let lastId = 0;
  let waiting: { at: number; job: ApplyJob }[] = [];
  for (let round = 0; Date.now() < run.until || waiting.length > 0; round += 1) {
    await pauseUntil(Date.now() + LOOK_EVERY_MS, context.signal);
    const rows = await queryDatabase<{ batchId: string; ids: number[] }>(
      run.stack.databaseUrl,
      `SELECT batch_id AS "batchId", array_agg(id::float8 ORDER BY id) AS ids FROM sync_queue WHERE id > $1 GROUP BY batch_id`,
      [lastId],
    );
    for (const { batchId, ids } of rows) {
      lastId = Math.max(lastId, ...ids);
      for (const job of jobsOfBatch('default', batchId, ids, 50)) {
        for (let copy = 1; copy < DELIVERIES; copy += 1) {
          const isAtOnce = context.random() < 0.5;
          waiting.push({ at: Date.now() + (isAtOnce ? 0 : LATEST_MS * context.random()), job });
        }
      }
    }
    const due = waiting.filter(({ at }) => at <= Date.now());
    waiting = waiting.filter(({ at }) => at > Date.now());
    await Promise.all(shuffle(due, context.seed + round).map(({ job }) => producer.enqueue([job])));
    for (const _ of due) context.countFault('job delivered again');
  }
}
