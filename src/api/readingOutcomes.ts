// Reading what became of pushed batches. Requests that one wake-up woke, or that come while others read, share one statement.
import { createGroupCommit } from '../groupCommit.js';
import type { Database } from '../storage/database.js';
import { type OperationKey, type Outcomes, readOutcomes } from '../storage/readOutcomes.js';

/** Keys that one statement may read: as many as the largest request has by default, of which each may bring a long description. */
const GROUP_MAX_KEYS = 1_000;

export interface WantedOutcomes {
  keys: OperationKey[];
  /** Tasks that no operation names. */
  taskIds: string[];
}

/** @returns the outcomes of at least these operations, with at least these tasks @throws the driver's error */
export type ReadOutcomes = (workspaceId: string, wanted: WantedOutcomes) => Promise<Outcomes>;

export function createReadOutcomes(database: Database): ReadOutcomes {
  return createGroupCommit(
    (workspaceId: string, wanted: WantedOutcomes[]) =>
      readOutcomes(
        database,
        workspaceId,
        wanted.flatMap(({ keys }) => keys),
        wanted.flatMap(({ taskIds }) => taskIds),
      ),
    { max: GROUP_MAX_KEYS, sizeOf: ({ keys, taskIds }) => keys.length + taskIds.length },
  );
}
