// Where the queue of a running system lives, for tests that look at it or put something into it.
import { resolveDatabaseAddress } from '../../src/databaseAddress.js';
import { createLogger } from '../../src/logger.js';
import { type QueueAddress, type QueueSettings, queueAddress } from '../../src/queue/backend.js';
import { openDatabase } from '../../src/storage/database.js';
import { readIncarnation } from '../../src/storage/readChanges.js';
import { createTimeLine } from '../../src/timeLine.js';

const TIMEOUT_MS = 5_000;
const OPTIONS = {
  poolSize: 1,
  connectTimeoutMs: TIMEOUT_MS,
  acquireTimeoutMs: TIMEOUT_MS,
  statementTimeoutMs: TIMEOUT_MS,
  lockTimeoutMs: TIMEOUT_MS,
  preparedStatements: false,
};

/**
 * @param databaseUrl of the installation
 * @param queueUrl another way to the same database, where the queue is in it
 */
export async function openQueueAddress(
  settings: QueueSettings,
  databaseUrl: string,
  queueUrl = databaseUrl,
): Promise<QueueAddress> {
  const database = openDatabase(await resolveDatabaseAddress(databaseUrl, TIMEOUT_MS), OPTIONS, 'test');
  try {
    const { incarnation } = await readIncarnation(database);
    const timeLine = createTimeLine(incarnation, createLogger({ level: 'error', process: 'test' }));
    return queueAddress(settings, await resolveDatabaseAddress(queueUrl, TIMEOUT_MS), TIMEOUT_MS, timeLine);
  } finally {
    await database.close();
  }
}
