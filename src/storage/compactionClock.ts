// The time by which compaction judges what is old.
import type { Database } from './database.js';

// Set back with the clock, so that a later leap is held back again. A row that is missing (a restored dump of only the other tables) is made anew.
const ADVANCE = `
INSERT INTO compaction_clock (reached) VALUES ($1::timestamptz)
ON CONFLICT (single) DO UPDATE SET reached = LEAST($1::timestamptz, compaction_clock.reached + $2 * interval '1 millisecond')
RETURNING reached`;

/**
 * Advances compaction's time towards `now`, by `stepMs` at most.
 * @param now canonical
 * @returns the time, canonical: earlier than `now` after the clock leapt, or after nobody compacted for long
 */
export async function advanceCompactionClock(database: Database, now: string, stepMs: number): Promise<string> {
  const [row] = await database.select<{ reached: string }>(ADVANCE, [now, stepMs]);
  if (row === undefined) throw new Error('compaction_clock has no row');
  return row.reached;
}
