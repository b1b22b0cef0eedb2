// How many operations are pending, known without asking at every batch: a count that is repeated every one to three seconds, and only while
// batches arrive, plus what this process has accepted since the count began. What other api processes accepted in the meantime shows in
// the next count, so a limit may be passed by what they accept until then. An old count keeps the limit, and refuses too much: it knows
// nothing of what was applied since.
import { describeError, type Logger } from '../../logger.js';
import type { PendingCount } from '../../storage/readBacklog.js';

export interface PendingEstimate {
  total(): number;
  of(workspaceId: string): number;
  /** Counts anew if it is time. @returns resolves when that count has ended; undefined if the last one still holds. Never rejects */
  refresh(): Promise<void> | undefined;
  /** Counts operations that are about to be accepted. @returns what to call with how many were; must be called */
  reserve(workspaceId: string, operations: number): (accepted: number) => void;
}

const COUNT_EVERY_MS = 1_000;
/** A count is followed by a rest of thirty times as long: ten times was a twentieth of all that an overloaded server does ... */
const REST_FACTOR = 30;
/** ... but of no more than this. What is applied meanwhile is not seen: with 15 s workers would run out of what a full workspace may hold. */
const REST_MAX_MS = 3_000;

/** @param nowMs a clock that only moves forward */
export function createPendingEstimate(
  count: () => Promise<PendingCount>,
  nowMs: () => number,
  logger: Logger,
): PendingEstimate {
  let counted: PendingCount = { total: 0, byWorkspace: new Map() };
  /** Accepted before the count that is under way began; it will contain them. */
  let before = createTally();
  let since = createTally();
  const reserved = createTally();
  let nextAtMs = Number.NEGATIVE_INFINITY;
  let counting: Promise<void> | undefined;

  async function recount() {
    const startedAtMs = nowMs();
    before = since;
    since = createTally();
    try {
      counted = await count();
      nextAtMs = nowMs() + Math.min(REST_MAX_MS, Math.max(COUNT_EVERY_MS, (nowMs() - startedAtMs) * REST_FACTOR));
    } catch (error) {
      logger.debug('limits: what is pending could not be counted', describeError(error));
      since.addAll(before);
      nextAtMs = nowMs() + COUNT_EVERY_MS;
    }
    before = createTally();
    counting = undefined;
  }

  return {
    total: () => counted.total + before.total() + since.total() + reserved.total(),
    of: (id) => (counted.byWorkspace.get(id) ?? 0) + before.of(id) + since.of(id) + reserved.of(id),
    refresh() {
      if (counting === undefined && nowMs() >= nextAtMs) counting = recount();
      return counting;
    },
    reserve(workspaceId, operations) {
      reserved.add(workspaceId, operations);
      return (accepted) => {
        reserved.add(workspaceId, -operations);
        since.add(workspaceId, accepted);
      };
    },
  };
}

/** Numbers by workspace, and their sum. Holds only what is not zero. */
function createTally() {
  const byWorkspace = new Map<string, number>();
  let total = 0;
  const tally = {
    total: () => total,
    of: (id: string) => byWorkspace.get(id) ?? 0,
    add(id: string, count: number) {
      total += count;
      const sum = tally.of(id) + count;
      if (sum === 0) byWorkspace.delete(id);
      else byWorkspace.set(id, sum);
    },
    addAll(other: { entries(): Iterable<[string, number]> }) {
      for (const [id, count] of other.entries()) tally.add(id, count);
    },
    entries: () => byWorkspace.entries(),
  };
  return tally;
}
