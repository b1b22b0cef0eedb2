// Storing pushed batches (I1). Those that arrive while others are being stored share the next statement; nobody waits for a timer. A statement
// and a commit are paid once a group: with 32 connections that, and reading in groups, took PostgreSQL from 140 to 121 us an operation.
import { createGroupCommit } from '../groupCommit.js';
import { acceptBatches, type BatchToAccept, type PackedBatch, packBatch } from '../storage/acceptBatch.js';
import type { Database } from '../storage/database.js';
import { classifyFault } from '../sync/retryPolicy.js';

/** Larger statements gain little (500 rows cost 36 % less than 50, more than 500 nothing), and all of a group wait for its end. */
const GROUP_MAX_OPERATIONS = 500;
const GROUP_MAX_BYTES = 1_048_576;

/** Stores a batch; on return it is committed. @returns the ids of its new operations @throws the driver's error */
export type Accept = (batch: BatchToAccept) => Promise<number[]>;

type Stored = Map<string, { ids: number[] } | { error: unknown }>;

export function createAccept(database: Database): Accept {
  const submit = createGroupCommit(
    (workspaceId: string, batches: PackedBatch[]) => storeGroup(database, workspaceId, batches),
    {
      max: 1,
      sizeOf: ({ operations, text }) => Math.max(operations / GROUP_MAX_OPERATIONS, text.length / GROUP_MAX_BYTES),
    },
  );
  return async (batch) => {
    const stored = (await submit(batch.workspaceId, packBatch(batch))).get(batch.batchId);
    if (stored === undefined) throw new Error(`batch ${batch.batchId} was not stored`);
    if ('error' in stored) throw stored.error;
    return stored.ids;
  };
}

async function storeGroup(database: Database, workspaceId: string, batches: PackedBatch[]): Promise<Stored> {
  try {
    const ids = await acceptBatches(database, workspaceId, batches);
    return new Map(batches.map(({ batchId }) => [batchId, { ids: ids.get(batchId) ?? [] }]));
  } catch (error) {
    // A fault of the surroundings is nobody's fault; and after a lost connection the group may be stored: the clients resend it.
    if (batches.length === 1 || classifyFault(error) === 'transient') {
      return new Map(batches.map(({ batchId }) => [batchId, { error }]));
    }
  }
  // One of them is bad; the statement is undone, and each goes alone so that the others are not refused for it (I5).
  const alone: Stored = new Map();
  for (const batch of batches) {
    const [stored] = await storeGroup(database, workspaceId, [batch]);
    if (stored !== undefined) alone.set(...stored);
  }
  return alone;
}
