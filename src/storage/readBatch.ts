// Reading what became of a batch: its entries as they were received, and the state of the operations they stand for.
import type { OperationKind, Outcome, OutcomeCode } from '../sync/merge.js';
import type { FieldOutcomes } from '../sync/mergeFields.js';
import type { Database } from './database.js';
import { type BatchClock, type BatchEntry, SyncBatch } from './models/syncBatch.js';
import type { QueueStatus } from './models/syncQueueItem.js';
import { FEED_HEAD } from './readChanges.js';
import { planned } from './statement.js';

export interface StoredBatch {
  id: string;
  entries: BatchEntry[];
  clock: BatchClock | null;
}

/** A batch by its id; undefined if the workspace has none of that id. */
export async function findBatch(database: Database, workspaceId: string, id: string): Promise<StoredBatch | undefined> {
  const batch = await database.sequelize.getRepository(SyncBatch).findOne({ where: { workspaceId, id }, raw: true });
  return batch ?? undefined;
}

/** Where an operation stands. */
export interface OperationState {
  id: number;
  batchId: string | null;
  position: number;
  clientId: string;
  opId: string;
  contentHash: string;
  taskId: string;
  kind: OperationKind;
  status: QueueStatus;
  outcome: Outcome | null;
  ifSeq: number | null;
  fieldOutcomes: FieldOutcomes | null;
  outcomeCode: OutcomeCode | null;
  error: string | null;
}

/** The columns of a log row `q`, named as in OperationState. */
export const STATE_COLUMNS = `q.id, q.batch_id AS "batchId", q.position, q.client_id AS "clientId", q.op_id AS "opId",
  q.content_hash AS "contentHash", q.task_id AS "taskId", q.operation AS kind, q.status, q.outcome, q.error,
  q.if_seq AS "ifSeq", q.field_outcomes AS "fieldOutcomes", q.outcome_code AS "outcomeCode"`;

/** The states of operations by their queue ids, oldest first. */
export function readOperationsById(database: Database, workspaceId: string, ids: number[]): Promise<OperationState[]> {
  return database.select<OperationState>(
    `SELECT ${STATE_COLUMNS} FROM sync_queue q WHERE q.workspace_id = $1 AND q.id = ANY($2::bigint[]) ORDER BY q.id`,
    [workspaceId, ids],
  );
}

export interface BatchProgress {
  batchId: string;
  total: number;
  pending: number;
}

const PROGRESS = planned(
  `WITH head AS MATERIALIZED (${FEED_HEAD})
SELECT h.incarnation, b.id AS "batchId", b.total, (SELECT count(*) FROM sync_queue q WHERE q.workspace_id = $1 AND q.status = 'pending'
  AND q.batch_id = b.id AND q.id BETWEEN b.first_operation_id AND b.last_operation_id) AS pending
FROM head h LEFT JOIN sync_batches b ON b.workspace_id = $1 AND b.id = ANY($2::uuid[])`,
);

type ProgressRow = { incarnation: string } & (BatchProgress | { batchId: null });

/** How far batches are, for those of the ids that exist. Operations that an earlier batch brought count as processed. */
export async function readBatchProgress(
  database: Database,
  workspaceId: string,
  ids: string[],
): Promise<{ incarnation: string; batches: BatchProgress[] }> {
  const rows = await database.run<ProgressRow>(PROGRESS, [workspaceId, ids]);
  const [first] = rows;
  if (first === undefined) throw new Error(`workspace ${workspaceId} does not exist`);
  const batches = rows.flatMap((row) =>
    row.batchId === null ? [] : [{ batchId: row.batchId, total: row.total, pending: row.pending }],
  );
  return { incarnation: first.incarnation, batches };
}
