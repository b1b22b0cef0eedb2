// Runs an api process until it is told to end.
import { loadConfig } from '../../config/index.js';
import { endOnStartError, keepHeapSmall } from '../entry.js';
import { createLogger } from '../logger.js';
import { createShutdown, stopOnSignals } from '../shutdown.js';
import { startApi } from './startApi.js';

/** Starts serving; what fails before that ends the process with a sentence. */
export async function runApi(): Promise<void> {
  try {
    keepHeapSmall();
    const config = loadConfig();
    const logger = createLogger({ level: config.logLevel, process: 'api' });
    const shutdown = createShutdown(logger, config.shutdownTimeoutMs);
    stopOnSignals(shutdown);
    await startApi(config, logger, shutdown);
  } catch (error) {
    endOnStartError(error);
  }
}
