// Accepting a batch (I1, I2): one statement stores the batch and every operation that is not known yet. It takes no lock but those
// of its own new rows, so its latency does not depend on the backlog.
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

// The ids are given in the order of the batch, because that is the order in which its operations are applied; the rows go in in
// the order of their keys, because two resends of one batch would deadlock on each other's rows otherwise (40P01).
const ACCEPT = prepared(
  'accept_batch',
  `WITH numbered AS MATERIALIZED (
  SELECT nextval('sync_queue_id_seq') AS id, sent.*
  FROM (SELECT * FROM jsonb_to_recordset($3::jsonb) AS s("position" int, "clientId" text, "opId" text, "contentHash" text,
    "taskId" text, kind text, data jsonb, "updatedAt" timestamptz, "ifSeq" bigint) ORDER BY "position") sent
), inserted AS (
  INSERT INTO sync_queue (workspace_id, id, batch_id, position, client_id, op_id, content_hash, task_id, operation, task_data,
    updated_at, if_seq, max_retries, created_at)
  SELECT $1, id, $2::uuid, "position", "clientId", "opId", "contentHash", "taskId", kind, data, "updatedAt", "ifSeq", $4::int, $5::timestamptz
  FROM numbered ORDER BY "clientId" COLLATE "C", "opId" COLLATE "C"
  ON CONFLICT (workspace_id, client_id, op_id) DO NOTHING
  RETURNING id
), batch AS (
  INSERT INTO sync_batches (workspace_id, id, total, entries, clock, first_operation_id, last_operation_id, created_at, finished_at)
  SELECT $1, $2::uuid, jsonb_array_length($6::jsonb), $6::jsonb, $7::jsonb, min(id), max(id), $5::timestamptz,
    CASE WHEN count(id) = 0 THEN $5::timestamptz END
  FROM inserted
)
SELECT id FROM inserted ORDER BY id`,
);

/**
 * Stores a batch durably; on return it is committed.
 * @returns the ids of the operations that were new, in order; a resent one is not among them
 * @throws what the driver throws. After a lost connection the batch may be stored all the same: resending it is safe (I2).
 */
export async function acceptBatch(database: Database, batch: BatchToAccept): Promise<number[]> {
  const rows = await database.run<{ id: number }>(ACCEPT, [
    batch.workspaceId,
    batch.batchId,
    JSON.stringify(batch.operations),
    batch.maxRetries,
    batch.now,
    JSON.stringify(batch.entries),
    batch.clock === null ? null : JSON.stringify(batch.clock),
  ]);
  return rows.map((row) => row.id);
}
