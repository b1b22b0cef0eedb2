// Entry of `npm run db:migrate`: migrates, then ends.
import { loadConfig, requireDatabaseUrl } from '../config/index.js';
import { endOnStartError } from './entry.js';
import { createLogger } from './logger.js';
import { migrateDatabase } from './migrateDatabase.js';

async function main() {
  const config = loadConfig();
  const logger = createLogger({ level: config.logLevel, process: 'migrate' });
  await migrateDatabase(requireDatabaseUrl(config), config, logger);
}

main().catch(endOnStartError);
