// Reading what became of pushed batches. Requests that one wake-up woke, or that come while others read, share one statement.
import { createGroupCommit } from '../groupCommit.js';
import type { Database } from '../storage/database.js';
import { type Outcomes, operationKey, readOutcomes, type WantedOutcomes } from '../storage/readOutcomes.js';
import type { TimeLine } from '../timeLine.js';

/** Keys that one statement may read: as many as the largest request has by default. */
const GROUP_MAX_KEYS = 1_000;

export type Wanted = Required<Omit<WantedOutcomes, 'maxBytes'>>;

/** @returns the outcomes of at least these operations, with at least these tasks @throws the driver's error */
export type ReadOutcomes = (workspaceId: string, wanted: Wanted) => Promise<Outcomes>;

/** @param maxBytes what the long descriptions of one answer may take */
export function createReadOutcomes(database: Database, timeLine: TimeLine, maxBytes: number): ReadOutcomes {
  const read = async (workspaceId: string, wanted: Wanted[]) => {
    const keys = wanted.flatMap((each) => each.keys);
    const taskIds = wanted.flatMap((each) => each.taskIds);
    const outcomes = await timeLine.follow(() => readOutcomes(database, workspaceId, { keys, taskIds, maxBytes }));
    return { outcomes, isShared: wanted.length > 1 };
  };
  const readTogether = createGroupCommit(read, {
    max: GROUP_MAX_KEYS,
    sizeOf: ({ keys, taskIds }) => keys.length + taskIds.length,
  });
  return async (workspaceId, wanted) => {
    const { outcomes, isShared } = await readTogether(workspaceId, wanted);
    // What one request names may be too long: that is none of the others' concern.
    if (!isShared || !lacks(outcomes, wanted)) return outcomes;
    return (await read(workspaceId, [wanted])).outcomes;
  };
}

function lacks({ operations, unread }: Outcomes, { keys, taskIds }: Wanted): boolean {
  if (unread.size === 0) return false;
  const named = keys.map((key) => operations.get(operationKey(key))?.taskId ?? '');
  return [...named, ...taskIds].some((id) => unread.has(id));
}
