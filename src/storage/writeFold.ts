// Writing what a fold changed with one statement: tasks, outcomes of the queue's rows, and the workspace's counters.
import type { AcceptedOperation, FoldResult, Settled } from '../sync/merge.js';
import { lookup } from './statement.js';

/** An accepted operation with its place in the queue. */
export interface QueuedOperation extends AcceptedOperation {
  queueId: number;
}

// `w` is the workspace, in every record: compared with $1 the planner would join by what it believes about the size of the workspace;
// compared with a column it looks each row up. Plan: two function scans, one look into sync_queue_pkey a row, inserts by tasks_pkey.
export const WRITE_FOLD = lookup(
  'write_fold',
  `WITH written AS (
  INSERT INTO tasks (workspace_id, id, server_id, title, description, completed, deleted, created_at, updated_at, updated_by, op_id,
    seq, last_synced_at, field_versions)
  SELECT $1, id, "serverId", title, description, completed, deleted, "createdAt", "updatedAt", "updatedBy", "opId", seq, "lastSyncedAt",
    "fieldVersions"
  FROM jsonb_to_recordset($2::jsonb) AS t(id text, "serverId" uuid, title text, description text, completed boolean, deleted boolean,
    "createdAt" timestamptz, "updatedAt" timestamptz, "updatedBy" text, "opId" text, seq bigint, "lastSyncedAt" timestamptz,
    "fieldVersions" jsonb)
  ON CONFLICT (workspace_id, id) DO UPDATE SET title = excluded.title, description = excluded.description,
    completed = excluded.completed, deleted = excluded.deleted, stub = false, created_at = excluded.created_at,
    updated_at = excluded.updated_at, updated_by = excluded.updated_by, op_id = excluded.op_id, seq = excluded.seq, last_synced_at = excluded.last_synced_at,
    field_versions = excluded.field_versions
), settled AS (
  UPDATE sync_queue q SET status = COALESCE(o.status, 'synced'), outcome = o.outcome, seq = o.seq, error = o.error, last_attempted_at = $4::timestamptz,
    updated_at = COALESCE(o."movedTo", q.updated_at),
    next_attempt_at = NULL, field_outcomes = o.fields, outcome_code = o.code, lost_to_client_id = o."lostToClientId",
    lost_to_op_id = o."lostToOpId", lost_to_updated_at = o."lostToUpdatedAt", field_winners = o."fieldWinners",
    brought_back = COALESCE(o."broughtBack", false)
  FROM jsonb_to_recordset($3::jsonb) AS o(w text, id bigint, status text, error text, "movedTo" timestamptz, outcome text, seq bigint, fields jsonb, code text, "lostToClientId" text,
    "lostToOpId" text, "lostToUpdatedAt" timestamptz, "fieldWinners" jsonb, "broughtBack" boolean)
  WHERE q.workspace_id = o.w AND q.id = o.id
)
UPDATE workspaces SET seq = $5, synced = synced + $6, last_synced_at = $4::timestamptz WHERE id = $1`,
);

/** What WRITE_FOLD is bound to. */
export function foldBind(workspaceId: string, folded: FoldResult<QueuedOperation>, now: string): unknown[] {
  const rows = folded.settled.map((each) =>
    each.dependsOn === undefined ? settledRow(workspaceId, each) : dependentRow(workspaceId, each, each.dependsOn),
  );
  const synced = folded.settled.filter(({ dependsOn }) => dependsOn === undefined).length;
  return [workspaceId, JSON.stringify(folded.changed), JSON.stringify(rows), now, folded.seq, synced];
}

/** What WRITE_FOLD reads of a settled operation; what is undefined is left out of its JSON and becomes NULL. */
function settledRow(
  w: string,
  { operation, isMoved, outcome, seq, fields, code, lostTo, fieldWinners, broughtBack }: Settled<QueuedOperation>,
) {
  return {
    w,
    id: operation.queueId,
    movedTo: isMoved ? operation.updatedAt : undefined,
    outcome,
    seq,
    fields,
    code,
    fieldWinners,
    broughtBack,
    lostToClientId: lostTo?.clientId,
    lostToOpId: lostTo?.opId,
    lostToUpdatedAt: lostTo?.updatedAt,
  };
}

/** An operation whose task could not be made has failed with it, until that one is tried again or discarded. */
function dependentRow(w: string, { operation }: Settled<QueuedOperation>, createId: number) {
  const error = `it depends on operation ${createId}, the create of its task, which could not be applied`;
  return { w, id: operation.queueId, status: 'failed', error, code: 'depends_on_failed' };
}
