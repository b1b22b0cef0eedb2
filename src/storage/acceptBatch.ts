// Accepting batches (I1, I2): one statement stores them and every operation that is not known yet. It takes no lock but those of its own
// new rows, so its latency does not depend on the backlog. Batches that arrive while one is stored share the next statement.
import type { OperationKind } from '../sync/merge.js';
import type { Database } from './database.js';
import type { BatchClock, BatchEntry } from './models/syncBatch.js';
import { prepared } from './statement.js';

export interface OperationToAccept {
  /** Index in the batch. */
  position: number;
  clientId: string;
  opId: string;
  contentHash: string;
  taskId: string;
  kind: OperationKind;
  data: Record<string, unknown>;
  /** Effective time, canonical. */
  updatedAt: string;
  ifSeq?: number;
}

export interface BatchToAccept {
  workspaceId: string;
  batchId: string;
  entries: BatchEntry[];
  clock: BatchClock | null;
  /** Each (clientId, opId) once. */
  operations: OperationToAccept[];
  maxRetries: number;
  /** Server time, canonical. */
  now: string;
}

// The ids are given in the order of the batches and of each one's operations, because that is the order in which they are applied; the
// rows go in in the order of their keys, because two resends of one batch would deadlock on each other's rows otherwise (40P01). Of two
// batches that bring the same operation the first one has it.
// Plan: function scans, a sort, and inserts; nothing is looked up but by the indexes that ON CONFLICT and the keys name.
const ACCEPT = prepared(
  'accept_batches',
  `WITH sent AS MATERIALIZED (
  SELECT * FROM ROWS FROM (jsonb_to_recordset($2::jsonb) AS (id uuid, entries jsonb, clock jsonb, operations jsonb, "maxRetries" int,
    now timestamptz)) WITH ORDINALITY AS b(id, entries, clock, operations, "maxRetries", now, ordinal)
), numbered AS MATERIALIZED (
  SELECT nextval('sync_queue_id_seq') AS id, o.* FROM (
    SELECT b.id AS "batchId", b."maxRetries", b.now, s.* FROM sent b CROSS JOIN LATERAL jsonb_to_recordset(b.operations) AS s(
      "position" int, "clientId" text, "opId" text, "contentHash" text, "taskId" text, kind text, data jsonb, "updatedAt" timestamptz,
      "ifSeq" bigint)
    ORDER BY b.ordinal, s."position") o
), inserted AS (
  INSERT INTO sync_queue (workspace_id, id, batch_id, position, client_id, op_id, content_hash, task_id, operation, task_data,
    updated_at, if_seq, max_retries, created_at)
  SELECT $1, id, "batchId", "position", "clientId", "opId", "contentHash", "taskId", kind, data, "updatedAt", "ifSeq", "maxRetries", now
  FROM numbered ORDER BY "clientId" COLLATE "C", "opId" COLLATE "C", id
  ON CONFLICT (workspace_id, client_id, op_id) DO NOTHING
  RETURNING batch_id, id
), brought AS (
  SELECT batch_id, min(id) AS first, max(id) AS last, json_agg(id ORDER BY id) AS ids FROM inserted GROUP BY batch_id
), batches AS (
  INSERT INTO sync_batches (workspace_id, id, total, entries, clock, first_operation_id, last_operation_id, created_at, finished_at)
  SELECT $1, b.id, jsonb_array_length(b.entries), b.entries, b.clock, n.first, n.last, b.now,
    CASE WHEN n.first IS NULL THEN b.now END
  FROM sent b LEFT JOIN brought n ON n.batch_id = b.id
)
SELECT batch_id AS "batchId", ids FROM brought`,
);

/** A batch in the form of the statement, which it is brought into once, before it waits for its turn. */
export interface PackedBatch {
  batchId: string;
  /** JSON, about as long as the request's body. */
  text: string;
  operations: number;
}

export function packBatch({ batchId, entries, clock, operations, maxRetries, now }: BatchToAccept): PackedBatch {
  const text = JSON.stringify({ id: batchId, entries, clock, operations, maxRetries, now });
  return { batchId, text, operations: operations.length };
}

/**
 * Stores batches of one workspace durably, all or none; on return they are committed.
 * @returns by batch the ids of the operations that were new, in order; a resent one is not among them, nor a batch that brought none
 * @throws what the driver throws. After a lost connection the batches may be stored all the same: resending them is safe (I2).
 */
export async function acceptBatches(
  database: Database,
  workspaceId: string,
  batches: PackedBatch[],
): Promise<Map<string, number[]>> {
  const rows = await database.run<{ batchId: string; ids: number[] }>(ACCEPT, [
    workspaceId,
    `[${batches.map(({ text }) => text).join()}]`,
  ]);
  for (const { ids } of rows) database.sawOperation(ids.at(-1) ?? 0);
  return new Map(rows.map(({ batchId, ids }) => [batchId, ids]));
}
