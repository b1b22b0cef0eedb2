// Compaction by a time that follows the database's clock slowly: a clock that leapt ahead, on the database's machine too, does not make everything
// old at once. Where nobody compacted for long it catches up the same way.
import { advanceCompactionClock } from '../src/storage/compactionClock.js';
import { fromMicros, toMicros } from '../src/sync/timestamp.js';
import { type CompactDeps, type Compaction, compact } from './compact.js';

/** With a run an hour: a day a run. */
const STEP_INTERVALS = 24;
/** A run that is late, or that somebody started by hand, is no leap. */
const HELD_BACK_MICROS = 3_600_000_000n;

/** One run of compaction. @param intervalMs how often it runs */
export async function compactInSteps(deps: CompactDeps, intervalMs: number): Promise<Compaction> {
  const nowMicros = deps.nowMicros();
  const reached = await advanceCompactionClock(deps.database, fromMicros(nowMicros), intervalMs * STEP_INTERVALS);
  const reachedMicros = toMicros(reached);
  if (nowMicros - reachedMicros > HELD_BACK_MICROS) {
    const behindH = Number((nowMicros - reachedMicros) / 3_600_000_000n);
    deps.logger.warn('compaction holds back: the clock leapt ahead, or there was no run for long', {
      reached,
      behindH,
    });
  }
  return compact({ ...deps, nowMicros: () => reachedMicros });
}
