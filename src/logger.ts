// JSON lines on stdout. Logs carry ids and counts, never user content (titles, descriptions) and never secrets.
import { createLogger as createWinston, format, type Logger, transports } from 'winston';

export type { Logger };

/** A logger whose every line carries the process kind (`api`, `worker`, ...) and pid. */
export function createLogger(options: { level: string; process: string }): Logger {
  return createWinston({
    level: options.level,
    defaultMeta: { process: options.process, pid: process.pid },
    format: format.combine(format.timestamp(), format.errors({ stack: true }), format.json()),
    transports: [new transports.Console({ stderrLevels: [] })],
  });
}

/** What a log line says of an error: its message and code, and the stack only for errors nobody foresaw. */
export function describeError(error: unknown): { error: string; code?: string } {
  if (!(error instanceof Error)) return { error: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return { error: error.message || error.name, ...(code === undefined ? {} : { code }) };
}
