// Entry of `npm run db:migrate`: brings the product's schema, and BullMQ's where PostgreSQL is the queue, up to date, then ends.
// Any number may start together.
import { createPostgresBackend, Queue } from 'bullmq';
import { loadConfig, requireDatabaseUrl } from '../config/index.js';
import { resolveDatabaseAddress } from './databaseAddress.js';
import { endOnStartError } from './entry.js';
import { createLogger } from './logger.js';
import { postgresPool, queueAddress } from './queue/backend.js';
import { QUEUE_NAME } from './queue/jobs.js';
import { openDatabase } from './storage/database.js';
import { migrate } from './storage/migrate.js';

async function main() {
  const config = loadConfig();
  const logger = createLogger({ level: config.logLevel, process: 'migrate' });
  const address = await resolveDatabaseAddress(requireDatabaseUrl(config), config.database.connectTimeoutMs);
  const database = openDatabase(address, config.database, 'migrate');
  try {
    const ran = await migrate(database);
    logger.info(ran.length === 0 ? 'the database is up to date' : 'the database was migrated', { ran });
  } finally {
    await database.close();
  }
  const queue = queueAddress(config.queue, address, config.database.connectTimeoutMs);
  if (queue.kind !== 'postgres') return;
  const bullmq = new Queue(
    QUEUE_NAME,
    { connection: { ...postgresPool(queue, 1), migrate: true } },
    createPostgresBackend,
  );
  try {
    await bullmq.waitUntilReady();
    logger.info("the queue's schema is up to date");
  } finally {
    await bullmq.close();
  }
}

main().catch(endOnStartError);
