// The time of an installation is its database's: read now and then, and carried on by a clock that nobody sets. So processes agree whatever the
// clocks of their machines say, and one that is set in the middle changes nothing (docs/decisions/0027).
import { describeError, type Logger } from './logger.js';
import type { Shutdown } from './shutdown.js';
import type { Database } from './storage/database.js';

export interface DatabaseClock {
  /** Milliseconds since 1970, with fractions. */
  nowMs(): number;
  /** How far this machine's clock is ahead of the database's (negative: behind), in ms. */
  skewMs(): number;
}

const READ_EVERY_MS = 2_000;
/** An answer that took longer says the time too inexactly. */
const TRIP_MAX_MS = 1_000;
/** Less is the way to the server and back. */
const FOLLOW_FROM_MS = 50;
/** More is worth a line in the log. */
const TELL_FROM_MS = 2_000;

// Of this very moment, unlike now().
const READ = `SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS "atMs"`;

/**
 * Reads the database's clock, and again every two seconds until the shutdown.
 * @throws the driver's error when the database does not answer
 */
export async function startDatabaseClock(
  database: Database,
  logger: Logger,
  shutdown: Shutdown,
): Promise<DatabaseClock> {
  const monotonicMs = () => performance.now();
  /** What the database's clock said when the monotonic one began. */
  let originMs: number | undefined;
  let isTold = false;
  const nowMs = () => (originMs === undefined ? Date.now() : originMs + monotonicMs());
  const skewMs = () => Date.now() - nowMs();

  async function read() {
    const askedMs = monotonicMs();
    const [row] = await database.select<{ atMs: number }>(READ, []);
    const tripMs = monotonicMs() - askedMs;
    if (row === undefined || (originMs !== undefined && tripMs > TRIP_MAX_MS)) return;
    const nextMs = row.atMs - askedMs - tripMs / 2;
    const byMs = nextMs - (originMs ?? nextMs);
    if (Math.abs(byMs) >= TELL_FROM_MS) logger.warn("the database's clock was set", { byMs: Math.round(byMs) });
    if (originMs === undefined || Math.abs(byMs) >= FOLLOW_FROM_MS) originMs = nextMs;
    const isOff = Math.abs(skewMs()) >= TELL_FROM_MS;
    if (isOff && !isTold) {
      const aheadMs = Math.round(skewMs());
      logger.warn("this machine's clock differs from the database's, which counts; look at NTP on both", { aheadMs });
    }
    isTold = isOff;
  }

  await read();
  let isReading = false;
  const timer = setInterval(() => {
    if (isReading) return;
    isReading = true;
    read()
      .catch((error: unknown) => logger.debug("the database's clock was not read", describeError(error)))
      .finally(() => {
        isReading = false;
      });
  }, READ_EVERY_MS);
  shutdown.push('clock', async () => clearInterval(timer));
  return { nowMs, skewMs };
}
