// JSON lines on stdout. Logs carry ids and counts, never user content (titles, descriptions) and never secrets.
import { createLogger as createWinston, format, type Logger, transports } from 'winston';

export type { Logger };

/** Marks the line that ends what was warned of before; the terminal of `npm start` shows it like the warning. */
export const ALL_CLEAR = { allClear: true };

/** A logger whose every line carries the process kind (`api`, `worker`, ...) and pid. */
export function createLogger(options: { level: string; process: string }): Logger {
  return createWinston({
    level: options.level,
    defaultMeta: { process: options.process, pid: process.pid },
    format: format.combine(format.timestamp(), format.errors({ stack: true }), format.json()),
    transports: [new transports.Console({ stderrLevels: [] })],
  });
}

/** SQLSTATE classes that speak of the server and its connections. Others (22, 23, P0, ...) quote rows: what a user wrote. */
const QUOTES_NO_ROWS = /^(08|25|28|3D|40|53|55|57|58)...$/;
/** Where PostgreSQL says that a message comes from RAISE in a function: its author may quote anything, under any code. */
const RAISED = 'exec_stmt_raise';

/**
 * What a log line says of an error: its message and code. Of an error of PostgreSQL that may quote what a user wrote, only the code:
 * the operation keeps the whole message, and so does PostgreSQL's own log.
 */
export function describeError(error: unknown): { error: string; code?: string } {
  if (!(error instanceof Error)) return { error: String(error) };
  const sql = findSqlError(error);
  if (sql !== undefined && !sql.isPublic) return { error: `PostgreSQL refused it with ${sql.code}`, code: sql.code };
  const code = sql?.code ?? ('code' in error && typeof error.code === 'string' ? error.code : undefined);
  return { error: error.message || error.name, ...(code === undefined ? {} : { code }) };
}

/** Where an error came from, without its message, for which describeError is responsible. */
export function describeStack(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.stack === undefined) return undefined;
  const messageAt = error.message === '' ? -1 : error.stack.indexOf(error.message);
  const after = messageAt < 0 ? error.stack : error.stack.slice(messageAt + error.message.length);
  return after
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n');
}

/** The error of PostgreSQL itself inside of those that wrap it; bounded, because a chain of causes may be a ring. */
function findSqlError(error: Error): { code: string; isPublic: boolean } | undefined {
  let next: unknown = error;
  for (let depth = 0; next instanceof Error && depth < 5; depth += 1) {
    if ('severity' in next && 'code' in next && typeof next.code === 'string') {
      const isRaised = 'routine' in next && next.routine === RAISED;
      return { code: next.code, isPublic: QUOTES_NO_ROWS.test(next.code) && !isRaised };
    }
    next = 'original' in next ? next.original : 'parent' in next ? next.parent : next.cause;
  }
  return undefined;
}
