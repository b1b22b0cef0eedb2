// What entry files share: a heap that stays small, and how they fail: a sentence that says what to do, on stderr, and exit code 1. A stack
// trace only for what nobody foresaw.
import { setFlagsFromString } from 'node:v8';
import { ConfigError } from '../config/index.js';
import { classifyFault } from './sync/retryPolicy.js';

/**
 * Lets the heap grow by half of what is in use before it is collected; V8 would wait for up to four times that. An api at full load takes 150
 * instead of 210 MB, a worker 135 instead of 165 to 200, for no CPU time that could be measured (docs/decisions/0019). Read at each
 * collection, so it may be set now.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=50');
}

/** Ends the process because it could not start. */
export function endOnStartError(error: unknown): void {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}

function explain(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE' && 'port' in error) {
    return `Port ${error.port} is in use by another program. Stop it, or choose another port: PORT=${Number(error.port) + 1}`;
  }
  if (classifyFault(error) === 'transient') {
    return `The database cannot be used (${error instanceof Error ? error.message || error.name : error}). Check that PostgreSQL runs and that DATABASE_URL is right.`;
  }
  return `Could not start: ${error instanceof Error ? error.stack : String(error)}`;
}
