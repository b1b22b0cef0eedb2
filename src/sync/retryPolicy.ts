// Which faults are worth another try, and after how long. The table is data; nothing here waits or knows the time.

/**
 * - transient: the surroundings failed (connection, deadlock, restart). Tried again for ever; costs the operation nothing.
 * - permanent: this operation can never succeed. Fails at once, alone.
 * - unknown: counted against the operation's max_retries, then it fails.
 */
export type FaultKind = 'transient' | 'permanent' | 'unknown';

/** SQLSTATEs by class (two characters) or code. Source: PostgreSQL documentation, appendix A. */
const TRANSIENT_SQLSTATES = /^(08...|40001|40003|40P01|53...|55P03|57014|57P0[1-3]|58...|25006|25P03)$/;
const PERMANENT_SQLSTATES = /^(22...|23502|23505|23514|54...|0A...)$/;
const TRANSIENT_SYSTEM_CODES = /^(ECONN[A-Z]+|EPIPE|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENOTFOUND)$/;
const TRANSIENT_NAMES =
  /^SequelizeConnection\w*Error$|^ConnectionAcquireTimeoutError$|^SequelizeTimeoutError$|^StaleStatement$/;
const TRANSIENT_MESSAGES =
  /Connection terminated|Client has encountered a connection error|timeout expired|Query read timeout|Connection is closed/;

/** Classifies an error by its SQLSTATE or system code, looking through the errors that Sequelize wraps around it. */
export function classifyFault(error: unknown): FaultKind {
  for (const cause of causesOf(error)) {
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
    if (TRANSIENT_SQLSTATES.test(code) || TRANSIENT_SYSTEM_CODES.test(code)) return 'transient';
    if (PERMANENT_SQLSTATES.test(code)) return 'permanent';
    if (TRANSIENT_NAMES.test(cause.name) || TRANSIENT_MESSAGES.test(cause.message)) return 'transient';
  }
  return 'unknown';
}

/** The error itself and what it wraps, innermost last; bounded, because a chain of causes may be a ring. */
function causesOf(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let next = error; next instanceof Error && chain.length < 5 && !chain.includes(next); ) {
    chain.push(next);
    next = 'original' in next ? next.original : 'parent' in next ? next.parent : next.cause;
  }
  return chain;
}

export interface RetryOptions {
  baseMs: number;
  capMs: number;
}

/**
 * Exponential backoff with full jitter and a cap: a random wait between 0 and min(cap, base * 2^(attempt-1)).
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 * @param attempt how many attempts have failed, from 1
 * @param random a number in [0, 1), injected
 */
export function backoffDelayMs(attempt: number, options: RetryOptions, random: number): number {
  const ceiling = Math.min(options.capMs, options.baseMs * 2 ** Math.min(attempt - 1, 30));
  return Math.floor(random * ceiling);
}
