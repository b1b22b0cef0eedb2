// What an api and a worker process open first: the database once it is migrated, and the producing side of the queue.
import { type Config, requireDatabaseUrl } from '../config/index.js';
import { waitForDatabase } from './awaitDatabase.js';
import { startDatabaseClock } from './databaseClock.js';
import type { Logger } from './logger.js';
import { queueAddress } from './queue/backend.js';
import { createProducer } from './queue/producer.js';
import type { Shutdown } from './shutdown.js';
import { createTimeLine } from './timeLine.js';

/** Connects, and registers the closing. */
export async function connect(config: Config, processName: string, logger: Logger, shutdown: Shutdown) {
  const url = requireDatabaseUrl(config);
  const { database, address, incarnation } = await waitForDatabase(url, config.database, processName, logger, shutdown);
  const timeLine = createTimeLine(incarnation, logger);
  timeLine.onChange(database.startOver);
  const queue = queueAddress(config.queue, address, config.database.connectTimeoutMs, timeLine);
  queue.onMove(() =>
    logger.warn('the queue is opened anew for the database of now', { installation: queue.installation() }),
  );
  const producer = createProducer(queue, logger, {
    timeoutMs: config.queue.commandTimeoutMs,
    sharedJobSize: config.sync.transactionSize,
  });
  shutdown.push('queue', () => producer.close());
  // Else the first batches would miss a queue that is only not connected yet.
  await producer.settle();
  const clock = await startDatabaseClock(database, logger, shutdown);
  return { database, address, timeLine, queue, producer, clock };
}
