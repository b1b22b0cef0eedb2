// Starting beside a database that is not there yet (a whole machine boots, a platform restarts it): wait, and say so, until it
// answers and is migrated.
import type { Config } from '../config/index.js';
import type { DatabaseAddress } from './databaseAddress.js';
import { ALL_CLEAR, describeError, type Logger } from './logger.js';
import { openChecked } from './openChecked.js';
import type { Shutdown } from './shutdown.js';
import type { Database } from './storage/database.js';
import { isMigrated } from './storage/migrate.js';
import { readReached } from './storage/readChanges.js';
import { classifyFault } from './sync/retryPolicy.js';

const RETRY_MS = 1_000;

/**
 * Opens the database once it answers and has its schema, and registers its closing.
 * @returns also which database it is: see FeedHead
 * @throws what is no transient fault
 */
export async function waitForDatabase(
  url: string,
  options: Config['database'],
  processName: string,
  logger: Logger,
  shutdown: Shutdown,
): Promise<{ database: Database; address: DatabaseAddress; incarnation: string }> {
  let lastReason = '';
  const sayOnce = (reason: string) => {
    if (reason !== lastReason) logger.warn(reason);
    lastReason = reason;
  };
  for (;;) {
    const opened = await tryOpen(url, options, processName, logger, sayOnce);
    if (opened !== undefined) {
      shutdown.push('database', () => opened.database.close());
      if (lastReason !== '') logger.info('the database answers, and is ready', ALL_CLEAR);
      return opened;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    if (shutdown.signal.aborted) process.exit();
  }
}

async function tryOpen(
  url: string,
  options: Config['database'],
  processName: string,
  logger: Logger,
  say: (reason: string) => void,
) {
  let database: Database | undefined;
  try {
    const { address, ...opened } = await openChecked(url, options, processName, logger);
    database = opened.database;
    if (await isMigrated(database)) {
      // A process that only serves the feed accepts and applies none, and would plan each of its pages anew.
      const { lastOperationId, incarnation } = await readReached(database, []);
      database.sawOperation(lastOperationId ?? 0);
      return { database, address, incarnation };
    }
    say('the database lacks the schema of this version; waiting for `npm run db:migrate`');
  } catch (error) {
    if (classifyFault(error) !== 'transient') {
      await database?.close();
      throw error;
    }
    say(`the database does not answer; waiting for it (${describeError(error).error})`);
  }
  await database?.close();
  return undefined;
}
