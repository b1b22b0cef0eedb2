// Runs a worker process until it is told to end.
import { loadConfig } from '../config/index.js';
import { endOnStartError, keepHeapSmall } from '../src/entry.js';
import { createLogger } from '../src/logger.js';
import { createShutdown, stopOnSignals } from '../src/shutdown.js';
import { startWorker } from './startWorker.js';

/** Starts working; what fails before that ends the process with a sentence. */
export async function runWorker(): Promise<void> {
  try {
    keepHeapSmall();
    const config = loadConfig();
    const logger = createLogger({ level: config.logLevel, process: 'worker' });
    const shutdown = createShutdown(logger, config.shutdownTimeoutMs);
    stopOnSignals(shutdown);
    await startWorker(config, logger, shutdown);
  } catch (error) {
    endOnStartError(error);
  }
}
