// Entry of a worker process; any number of them share the work.
import { loadConfig } from '../config/index.js';
import { endOnStartError, keepHeapSmall } from '../src/entry.js';
import { createLogger } from '../src/logger.js';
import { createShutdown, stopOnSignals } from '../src/shutdown.js';
import { startWorker } from './startWorker.js';

async function main() {
  keepHeapSmall();
  const config = loadConfig();
  const logger = createLogger({ level: config.logLevel, process: 'worker' });
  const shutdown = createShutdown(logger, config.shutdownTimeoutMs);
  stopOnSignals(shutdown);
  await startWorker(config, logger, shutdown, Date.now);
}

main().catch(endOnStartError);
