// What the API shows: tasks, queue items and batch results in snake_case, and nothing that is not meant to be seen.
import type { BatchClock, BatchEntry } from '../storage/models/syncBatch.js';
import type { SyncQueueItem } from '../storage/models/syncQueueItem.js';
import type { OperationState } from '../storage/readBatch.js';
import { type Outcomes, operationKey } from '../storage/readOutcomes.js';
import type { TaskView } from '../storage/taskView.js';
import type { OperationStatus } from '../sync/explain.js';
import { fitRecords } from './fitRecords.js';

/** A task as every route answers it. */
export function presentTask(task: TaskView) {
  return {
    id: task.id,
    server_id: task.serverId,
    title: task.title,
    description: task.description,
    completed: task.completed,
    deleted: task.deleted,
    created_at: task.createdAt,
    updated_at: task.updatedAt,
    updated_by: task.updatedBy,
    op_id: task.opId,
    seq: task.seq,
    sync_status: task.syncStatus,
    last_synced_at: task.lastSyncedAt,
  };
}

/** An operation in the queue, in the model of GET /api/sync/queue. */
export function presentQueueItem(item: SyncQueueItem) {
  return {
    id: item.id,
    workspace_id: item.workspaceId,
    batch_id: item.batchId,
    position: item.position,
    client_id: item.clientId,
    op_id: item.opId,
    task_id: item.taskId,
    operation: item.operation,
    task_data: JSON.stringify(item.taskData),
    updated_at: item.updatedAt,
    if_seq: item.ifSeq,
    status: item.status,
    outcome: item.outcome,
    code: item.outcomeCode,
    fields: item.fieldOutcomes,
    seq: item.seq,
    error: item.error,
    retry_count: item.retryCount,
    max_retries: item.maxRetries,
    created_at: item.createdAt,
    last_attempted_at: item.lastAttemptedAt,
  };
}

/** What became of an operation, as it is shown. */
interface ShownOutcome {
  /** The kind; of an item that was refused what it says, which may be none. */
  operation: string | null;
  task_id: string | null;
  server_id: string | null;
  status: OperationStatus;
  resolved_data: ReturnType<typeof presentTask> | null;
  resolved_data_omitted?: true;
  merged?: true;
  fields?: OperationState['fieldOutcomes'];
  code?: OperationState['outcomeCode'];
  /** What is wrong with it. */
  field?: string;
  message?: string;
}

/** The tasks that an answer shows, and those that it leaves out. */
type Records = Pick<Outcomes, 'tasks' | 'unread'>;

/** What became of one operation: its status, the task as the server now has it, and a message where there is something to say. */
export function presentOutcome(operation: OperationState, { tasks, unread }: Records): ShownOutcome {
  const task = tasks.get(operation.taskId);
  const left = unread.get(operation.taskId);
  const status = statusOf(operation);
  const message = messageOf(status, operation);
  const shown: ShownOutcome = {
    operation: operation.kind,
    task_id: operation.taskId,
    server_id: (task ?? left)?.serverId ?? null,
    status,
    resolved_data: task === undefined ? null : presentTask(task),
  };
  if (left !== undefined) shown.resolved_data_omitted = true;
  if (operation.fieldOutcomes !== null) Object.assign(shown, { merged: true, fields: operation.fieldOutcomes });
  if (operation.outcomeCode !== null) shown.code = operation.outcomeCode;
  if (operation.outcomeCode === 'id_taken') shown.field = 'data.id';
  if (message !== undefined) shown.message = message;
  return shown;
}

/** What became of an operation, in one word. */
export function statusOf(operation: Pick<OperationState, 'status' | 'outcome' | 'outcomeCode'>): OperationStatus {
  if (operation.status === 'pending') return 'pending';
  if (operation.status === 'failed' || operation.outcomeCode === 'id_taken') return 'error';
  return operation.outcome ?? 'error';
}

const DELETED_REMOTELY =
  'This task was deleted long ago and its content is gone. Drop the local copy, or create the task again as of now.';

const KEPT_WITH_IT =
  'It is kept, and tried again after that one whenever that one is; POST /api/sync/trigger tries all that failed.';

const ID_TAKEN =
  'data.id is the server_id of another task, whose address it would take; nothing was made. Create the task under an id of its own.';

/** What there is to say about a status; undefined where the word says it all. */
export function messageOf(
  status: OperationStatus,
  {
    id,
    error,
    fieldOutcomes,
    outcomeCode,
    ifSeq,
  }: Pick<OperationState, 'id' | 'error' | 'fieldOutcomes' | 'outcomeCode' | 'ifSeq'>,
): string | undefined {
  switch (status) {
    case 'success':
      return fieldOutcomes === null
        ? undefined
        : 'The server keeps newer edits of some fields; resolved_data is the task.';
    case 'conflict':
      if (outcomeCode === 'precondition_failed') return preconditionMessage(ifSeq);
      if (outcomeCode === 'deleted_remotely') return DELETED_REMOTELY;
      return 'The server has a newer version of this task; resolved_data is it.';
    case 'exists':
      return 'This create was applied before.';
    case 'not_found':
      return 'There is no task of this id.';
    case 'error':
      if (outcomeCode === 'id_taken') return ID_TAKEN;
      if (outcomeCode === 'depends_on_failed') return `The operation could not be applied: ${error}. ${KEPT_WITH_IT}`;
      return `The operation could not be applied: ${error ?? 'unknown error'}. It is kept; POST /api/sync/queue/${id}/retry tries it again, POST /api/sync/trigger all that failed.`;
    case 'pending':
      return error === null ? undefined : `An attempt failed (${error}); it will be tried again.`;
    default:
      return undefined;
  }
}

function preconditionMessage(ifSeq: number | null): string {
  return ifSeq === 0
    ? 'The task exists, and if_seq 0 asks that it does not; nothing was changed.'
    : `The task is not at seq ${ifSeq} any more, as if_seq asks; nothing was changed, resolved_data is the task.`;
}

export interface BatchView extends Pick<Outcomes, 'operations' | 'tasks' | 'unread'> {
  batchId: string;
  entries: BatchEntry[];
  clock: BatchClock | null;
  serverTime: string;
  /** What the answer may be long. */
  limitBytes: number;
  /** The feed's cursor of a seq. */
  cursorAt: (seq: number) => string;
}

/** The body of a batch's answer. */
export function presentBatch(view: BatchView) {
  const items = view.entries.map((entry, index) => presentEntry(view, entry, index));
  const total = items.length;
  const processed = items.filter((item) => item.status !== 'pending').length;
  const summary: Record<OperationStatus, number> = {
    success: 0,
    conflict: 0,
    exists: 0,
    not_found: 0,
    error: 0,
    pending: 0,
  };
  for (const item of items) summary[item.status] += 1;
  const visibleAt = items.reduce((highest, item) => Math.max(highest, seqOf(view, item) ?? 0), 0);
  fitRecords(items, view.limitBytes);
  return {
    batch_id: view.batchId,
    status: processed === total ? ('completed' as const) : ('processing' as const),
    progress: { total, processed, percent: Math.floor((processed / total) * 100) },
    summary,
    processed_items: items,
    ...(visibleAt === 0 ? {} : { cursor: view.cursorAt(visibleAt) }),
    server_time: view.serverTime,
    ...(view.clock === null ? {} : { clock: presentClock(view.clock) }),
  };
}

/** Where the task of an entry stands, whether it is shown or not. */
function seqOf({ unread }: BatchView, { task_id, resolved_data }: ShownEntry): number | undefined {
  return (resolved_data ?? unread.get(task_id ?? ''))?.seq;
}

function presentClock({ skewMs, adjusted, message }: BatchClock) {
  return { skew_ms: skewMs, adjusted, ...(message === undefined ? {} : { message }) };
}

/** An item of the batch with what became of it. */
interface ShownEntry extends ShownOutcome {
  index: number;
  client_id: string | null;
  op_id: string | null;
  field?: string;
  cursor?: string;
  duplicate?: true;
}

/** The operation that an item of a batch stands for; undefined where it was refused, or the log does not hold it any more. */
export function operationOf(
  entry: BatchEntry,
  operations: ReadonlyMap<string, OperationState>,
): OperationState | undefined {
  if ('error' in entry) return undefined;
  const known = operations.get(operationKey(entry));
  return known?.contentHash === entry.contentHash ? known : undefined;
}

// Hundreds of them an answer: made of spread objects they took four times as long (docs/decisions/0018).
function presentEntry(view: BatchView, entry: BatchEntry, index: number): ShownEntry {
  const key = { index, client_id: entry.clientId, op_id: entry.opId };
  const operation = operationOf(entry, view.operations);
  const outcome = operation === undefined ? presentRefused(view, entry) : presentOutcome(operation, view);
  const shown: ShownEntry = Object.assign(key, outcome);
  const seq = seqOf(view, shown);
  if (seq !== undefined) shown.cursor = view.cursorAt(seq);
  if (operation !== undefined && (operation.batchId !== view.batchId || operation.position !== index)) {
    shown.duplicate = true;
  }
  return shown;
}

/** An item without an operation: what it says, why it is refused, and the task it names, so that its device can go back to it (I10). */
function presentRefused(
  { operations, tasks, unread }: BatchView,
  entry: BatchEntry,
): ShownOutcome & { field?: string } {
  const task = tasks.get(entry.taskId ?? '');
  const left = unread.get(entry.taskId ?? '');
  return {
    operation: entry.operation ?? null,
    task_id: entry.taskId ?? null,
    server_id: (task ?? left)?.serverId ?? null,
    status: 'error',
    resolved_data: task === undefined ? null : presentTask(task),
    ...(left === undefined ? {} : { resolved_data_omitted: true }),
    ...reasonOf(entry, operations),
  };
}

function reasonOf(entry: BatchEntry, operations: BatchView['operations']): { message: string; field?: string } {
  if ('error' in entry) return { message: entry.error, field: entry.field };
  if (!operations.has(operationKey(entry))) {
    return { message: 'The log no longer holds this operation; its outcome is not known any more.' };
  }
  const message = `op_id ${entry.opId} was used before for another operation; give every operation its own op_id`;
  return { message, field: 'op_id' };
}
