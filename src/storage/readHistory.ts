// The operation log as its readers see it: what was done to a task, what became of one operation, and what a conflict lost to.
import type { FieldWinners } from '../sync/losses.js';
import type { OperationKind, Outcome, OutcomeCode } from '../sync/merge.js';
import { type FieldName, type FieldOutcomes, MERGED_FIELDS } from '../sync/mergeFields.js';
import { FIELD_NAMES } from '../sync/task.js';
import type { Version } from '../sync/version.js';
import { cutBy, type Page, pageOf } from './cutPage.js';
import type { Database } from './database.js';
import type { QueueStatus } from './models/syncQueueItem.js';

export interface LoggedOperation extends Version {
  id: number;
  batchId: string | null;
  taskId: string;
  kind: OperationKind;
  /** As received, of what the server knows: what an app put beside it may be long, and nobody asks for it. */
  data: Record<string, unknown>;
  status: QueueStatus;
  outcome: Outcome | null;
  outcomeCode: OutcomeCode | null;
  /** What became of each field, where not all of them won; else null. */
  fieldOutcomes: FieldOutcomes | null;
  ifSeq: number | null;
  seq: number | null;
  error: string | null;
  retryCount: number;
  maxRetries: number;
  createdAt: string;
  lastAttemptedAt: string | null;
  broughtBack: boolean;
  /** What it lost to; where it lost its fields to different writes, the highest of them. */
  lostTo: Winner | null;
  /** Each lost field with what won it; null where that is lostTo for all of them. */
  lostToByField: Partial<Record<FieldName, Winner>> | null;
}

/** What an operation lost to. */
export interface Winner extends Version {
  /** Null when the winner is no longer in the log. */
  written: Written | null;
}

interface Written {
  kind: OperationKind;
  data: Record<string, unknown>;
}

/** An operation with what its explanation needs beside it. */
export interface OperationWithContext extends LoggedOperation {
  /** The skew of the device's clock when the operation arrived, in ms; null if the device did not say its time. */
  skewMs: number | null;
  /** The task's title as it is now; null if there is no such task. */
  taskTitle: string | null;
}

interface LoggedRow extends Omit<LoggedOperation, 'lostTo' | 'lostToByField'> {
  lostToClientId: string | null;
  lostToOpId: string | null;
  lostToUpdatedAt: string | null;
  winnerKind: OperationKind | null;
  winnerData: Record<string, unknown> | null;
  fieldWinners: FieldWinners | null;
  /** Of those fields whose winner is in the log. */
  writtenByField: Partial<Record<FieldName, Written>> | null;
}

const columns = (
  data: string,
) => `q.id, q.batch_id AS "batchId", q.client_id AS "clientId", q.op_id AS "opId", q.task_id AS "taskId",
  q.operation AS kind, ${data} AS data, q.updated_at AS "updatedAt", q.status, q.outcome,
  q.outcome_code AS "outcomeCode", q.field_outcomes AS "fieldOutcomes", q.if_seq AS "ifSeq", q.seq, q.error,
  q.retry_count AS "retryCount", q.max_retries AS "maxRetries", q.created_at AS "createdAt", q.last_attempted_at AS "lastAttemptedAt",
  q.brought_back AS "broughtBack", q.lost_to_client_id AS "lostToClientId", q.lost_to_op_id AS "lostToOpId",
  q.lost_to_updated_at AS "lostToUpdatedAt", w.operation AS "winnerKind", w.data AS "winnerData",
  q.field_winners AS "fieldWinners", f.written AS "writtenByField"`;

const SHOWN = [...FIELD_NAMES, 'updated_at'].map((name) => `'${name}'`).join(', ');
const shownOf = (data: string) =>
  `(SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(${data}) WHERE key IN (${SHOWN}))`;
/** Of what a page of the history names as winners it shows the title. */
const titleOf = (data: string) => `jsonb_build_object('title', ${data}->'title')`;

// The winners by their keys. The limit changes no result (the key is unique) and keeps this a look-up per row, where a plain join leaves the
// planner free to read the whole log for a long page. Task and time are compared too, because after a pruning the key may stand for a
// later operation.
const winnerJoin = (shown: (data: string) => string) => `LEFT JOIN LATERAL (
    SELECT x.operation, ${shown('x.task_data')} AS data FROM sync_queue x
    WHERE x.workspace_id = q.workspace_id AND x.client_id = q.lost_to_client_id AND x.op_id = q.lost_to_op_id
      AND x.task_id = q.task_id AND x.updated_at = q.lost_to_updated_at LIMIT 1
  ) w ON true
  LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(lost.key, jsonb_build_object('kind', x.operation, 'data', ${shown('x.task_data')})) AS written
    FROM jsonb_each(q.field_winners) lost, LATERAL (
      SELECT x.operation, x.task_data FROM sync_queue x
      WHERE x.workspace_id = q.workspace_id AND x.client_id = lost.value->>'clientId' AND x.op_id = lost.value->>'opId'
        AND x.task_id = q.task_id AND x.updated_at = (lost.value->>'updatedAt')::timestamptz LIMIT 1
    ) x
  ) f ON true`;

const HISTORY = `
SELECT ${columns('q.shown')}, q.found FROM (
  SELECT q.*, ${cutBy('octet_length(q.shown::text)', 'q.id DESC')} FROM (
    SELECT q.*, ${shownOf('q.task_data')} AS shown FROM sync_queue q
    WHERE q.workspace_id = $1 AND q.task_id = $2 AND q.id < $3 ORDER BY q.id DESC LIMIT $4
  ) q
) q ${winnerJoin(titleOf)}
WHERE q.number < $4 AND (q.number = 1 OR q.bytes <= $5) ORDER BY q.id DESC`;

export interface HistoryRequest {
  workspaceId: string;
  taskId: string;
  /** Only what was accepted before this operation. */
  beforeId: number;
  limit: number;
  /** What the data of the operations may take together. */
  maxBytes: number;
}

/** One page of the operations on a task, newest first: `limit` at most, fewer where they are long, at least one. */
export async function listHistory(
  database: Database,
  { workspaceId, taskId, beforeId, limit, maxBytes }: HistoryRequest,
): Promise<Page<LoggedOperation>> {
  const bind = [workspaceId, taskId, beforeId, limit + 1, maxBytes];
  const { rows, hasMore } = pageOf(await database.select<LoggedRow & { found: number }>(HISTORY, bind));
  return { rows: rows.map(withWinner), hasMore };
}

// Look-ups in the columns, no joins: where most operations share a batch, the planner was seen to merge-join all batches for one row.
const OPERATION = `
SELECT ${columns(shownOf('q.task_data'))},
  (SELECT (b.clock->>'skewMs')::float8 FROM sync_batches b WHERE b.workspace_id = q.workspace_id AND b.id = q.batch_id) AS "skewMs",
  (SELECT t.title FROM tasks t WHERE t.workspace_id = q.workspace_id AND t.id = q.task_id) AS "taskTitle"
FROM sync_queue q ${winnerJoin(shownOf)}
WHERE q.workspace_id = $1 AND q.id = $2`;

/** An operation by its id in the queue; undefined if the workspace has none of that id. */
export async function findOperation(
  database: Database,
  workspaceId: string,
  id: number,
): Promise<OperationWithContext | undefined> {
  const [row] = await database.select<LoggedRow & OperationWithContext>(OPERATION, [workspaceId, id]);
  return row === undefined ? undefined : { ...withWinner(row), skewMs: row.skewMs, taskTitle: row.taskTitle };
}

function withWinner(row: LoggedRow): LoggedOperation {
  const { lostToClientId, lostToOpId, lostToUpdatedAt, winnerKind, winnerData, fieldWinners, writtenByField, ...rest } =
    row;
  const operation = { ...rest, lostToByField: fieldWinners === null ? null : byField(fieldWinners, writtenByField) };
  if (lostToClientId === null || lostToOpId === null || lostToUpdatedAt === null) return { ...operation, lostTo: null };
  const written = winnerKind === null || winnerData === null ? null : { kind: winnerKind, data: winnerData };
  return { ...operation, lostTo: { clientId: lostToClientId, opId: lostToOpId, updatedAt: lostToUpdatedAt, written } };
}

function byField(winners: FieldWinners, written: LoggedRow['writtenByField']): LoggedOperation['lostToByField'] {
  const found: Partial<Record<FieldName, Winner>> = {};
  for (const field of MERGED_FIELDS) {
    const version = winners[field];
    if (version !== undefined) found[field] = { ...version, written: written?.[field] ?? null };
  }
  return found;
}
