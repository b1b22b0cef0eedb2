// What workers do alone: a backlog is accepted as the api accepts it, all of its jobs are enqueued at once, and the clock runs until nothing is
// pending. Not over HTTP, because there is one workspace as long as there are no accounts, and workers are about many.
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as newUuid } from 'uuid';
import { loadConfig, requireDatabaseUrl } from '../../config/index.js';
import { receiveBatch } from '../../src/api/receiveBatch.js';
import { resolveDatabaseAddress } from '../../src/databaseAddress.js';
import { createLogger } from '../../src/logger.js';
import { queueAddress } from '../../src/queue/backend.js';
import { type ApplyJob, jobsOfBatch } from '../../src/queue/jobs.js';
import { createProducer } from '../../src/queue/producer.js';
import { acceptBatches, packBatch } from '../../src/storage/acceptBatch.js';
import { type Database, openDatabase } from '../../src/storage/database.js';
import { readIncarnation } from '../../src/storage/readChanges.js';
import { fromMicros } from '../../src/sync/timestamp.js';
import { createTimeLine } from '../../src/timeLine.js';
import type { Job, JobResult, Window } from './jobs.js';

const BATCH = 50;
const LOOK_EVERY_MS = 10;
const logger = createLogger({ level: 'error', process: 'bench' });

/** @throws an Error when something is still pending after `limitMs` */
export async function runBacklog(job: Extract<Job, { kind: 'backlog' }>, window: Window): Promise<JobResult> {
  const config = loadConfig(job.env);
  const { connectTimeoutMs } = config.database;
  const address = await resolveDatabaseAddress(requireDatabaseUrl(config), connectTimeoutMs);
  const database = openDatabase(address, config.database, 'bench');
  const timeLine = createTimeLine((await readIncarnation(database)).incarnation, logger);
  const producer = createProducer(queueAddress(config.queue, address, connectTimeoutMs, timeLine), logger, {
    timeoutMs: config.queue.commandTimeoutMs,
    // As if each batch had come at a moment of its own, while no worker ran.
    sharedJobSize: BATCH,
  });
  try {
    await producer.settle();
    const workspaceIds = await makeWorkspaces(database, job.workspaces);
    const jobs: ApplyJob[] = [];
    for (let number = 0; number < job.operations / BATCH; number += 1) {
      jobs.push(...(await accept(database, workspaceIds[number % workspaceIds.length] ?? '', config.sync.batchSize)));
    }
    window.begin();
    const startedAt = performance.now();
    await producer.enqueue(jobs);
    await untilNothingPends(database, job.limitMs);
    const seconds = (performance.now() - startedAt) / 1_000;
    window.end();
    return { operations: job.operations, operationsPerS: job.operations / seconds };
  } finally {
    await producer.close();
    await database.close();
  }
}

/** One is the default one. */
async function makeWorkspaces(database: Database, count: number): Promise<string[]> {
  const ids = ['default', ...Array.from({ length: count - 1 }, (_, index) => `bench-${index + 1}`)];
  await database.select('INSERT INTO workspaces (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING id', [
    ids,
  ]);
  return ids;
}

async function accept(database: Database, workspaceId: string, batchSize: number): Promise<ApplyJob[]> {
  const batchId = newUuid();
  const nowMicros = BigInt(Date.now()) * 1_000n;
  const items = Array.from({ length: BATCH }, (_, index) => ({
    client_id: `backlog-${batchId}`,
    op_id: `${index}`,
    operation: 'create',
    data: { id: `${batchId}-${index}`, title: `Number ${index} of what has to be done`, completed: index % 3 === 0 },
  }));
  const received = receiveBatch({
    items,
    clientTimestamp: undefined,
    firstMicros: nowMicros,
    receivedMicros: nowMicros,
    newTaskId: newUuid,
  });
  const batch = { workspaceId, batchId, ...received, maxRetries: 3, now: fromMicros(nowMicros) };
  const ids = await acceptBatches(database, workspaceId, [packBatch(batch)]);
  return jobsOfBatch(workspaceId, batchId, ids.get(batchId) ?? [], batchSize);
}

async function untilNothingPends(database: Database, limitMs: number) {
  for (const until = Date.now() + limitMs; ; await sleep(LOOK_EVERY_MS)) {
    const [row] = await database.select<{ pends: boolean }>(
      `SELECT EXISTS (SELECT FROM sync_queue WHERE status = 'pending') AS pends`,
      [],
    );
    if (row?.pends === false) return;
    if (Date.now() > until) throw new Error(`operations are still pending after ${limitMs} ms`);
  }
}
