// Migrates the database of this environment.
import { loadConfig, requireDatabaseUrl } from '../config/index.js';
import { endOnStartError } from './entry.js';
import { createLogger } from './logger.js';
import { migrateDatabase } from './migrateDatabase.js';

/** Migrates; a failure ends the process with a sentence. */
export async function runMigration(): Promise<void> {
  try {
    const config = loadConfig();
    const logger = createLogger({ level: config.logLevel, process: 'migrate' });
    await migrateDatabase(requireDatabaseUrl(config), config, logger);
  } catch (error) {
    endOnStartError(error);
  }
}
