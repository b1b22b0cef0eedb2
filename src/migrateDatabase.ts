// Bringing a database up to date: the product's schema, and BullMQ's where PostgreSQL is the queue.
import { createPostgresBackend, Queue } from 'bullmq';
import type { Config } from '../config/index.js';
import type { Logger } from './logger.js';
import { openChecked } from './openChecked.js';
import { postgresPool } from './queue/backend.js';
import { QUEUE_NAME } from './queue/jobs.js';
import { migrate } from './storage/migrate.js';

/** A statement's limit is for requests; an index of millions of rows takes minutes to build. */
const STATEMENT_LIMIT_MS = 3_600_000;

/** Migrates; any number of processes may do it together. @throws the driver's error when the database cannot be used */
export async function migrateDatabase(url: string, config: Config, logger: Logger): Promise<void> {
  const options = { ...config.database, statementTimeoutMs: STATEMENT_LIMIT_MS };
  const { database, address } = await openChecked(url, options, 'migrate', logger);
  try {
    const ran = await migrate(database);
    logger.info(ran.length === 0 ? 'the database is up to date' : 'the database was migrated', { ran });
  } finally {
    await database.close();
  }
  if (config.queue.redisUrl !== undefined) return;
  const { connectTimeoutMs } = config.database;
  const connection = { ...postgresPool({ database: address, connectTimeoutMs }, 1), migrate: true };
  const bullmq = new Queue(QUEUE_NAME, { connection }, createPostgresBackend);
  try {
    await bullmq.waitUntilReady();
    logger.info("the queue's schema is up to date");
  } finally {
    await bullmq.close();
  }
}
