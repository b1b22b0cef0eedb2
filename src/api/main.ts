// Entry of an api process: stateless, any number of them side by side.
import { loadConfig } from '../../config/index.js';
import { endOnStartError, keepHeapSmall } from '../entry.js';
import { createLogger } from '../logger.js';
import { createShutdown, stopOnSignals } from '../shutdown.js';
import { startApi } from './startApi.js';

async function main() {
  keepHeapSmall();
  const config = loadConfig();
  const logger = createLogger({ level: config.logLevel, process: 'api' });
  const shutdown = createShutdown(logger, config.shutdownTimeoutMs);
  stopOnSignals(shutdown);
  await startApi(config, logger, shutdown, Date.now);
}

main().catch(endOnStartError);
