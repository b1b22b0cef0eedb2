// What became of a transaction's operations, as it is sent with the wake-up to the processes that wait for them, which then need not read it
// (docs/decisions/0021). It says what readOutcomes would say at the moment of the commit.
import type { FoldResult, Outcome } from '../sync/merge.js';
import type { Task } from '../sync/task.js';
import type { Finished } from './finishBatches.js';
import type { PendingRow } from './pendingRows.js';
import type { OperationState } from './readBatch.js';
import type { SyncStatus, TaskView } from './taskView.js';
import type { QueuedOperation } from './writeFold.js';

/** Changes with the meaning of ToldOutcomes: processes of two versions talk to each other while one replaces the other. */
const FORMAT = 1;

/** Of a settled operation what its sender does not know from the batch. */
export interface ToldOperation extends Pick<OperationState, 'id' | 'position' | 'taskId' | 'kind' | 'ifSeq'> {
  outcome: Outcome;
  fieldOutcomes: OperationState['fieldOutcomes'];
  outcomeCode: OperationState['outcomeCode'];
}

export interface ToldOutcomes {
  format: typeof FORMAT;
  /** See FeedHead. */
  incarnation: string;
  /** Settled operations by the batch that brought them. */
  batches: Record<string, ToldOperation[]>;
  /** The tasks and tombstones that they name, as they are after the transaction; stubs are none. */
  tasks: TaskView[];
}

/** Whether a message says what became of operations, in the form of this version: anyone who may publish can send anything. */
export function isToldOutcomes(message: unknown): message is ToldOutcomes {
  if (!isObject(message) || !('format' in message && 'batches' in message && 'tasks' in message)) return false;
  const { format, batches, tasks } = message;
  return format === FORMAT && isObject(batches) && [tasks, ...Object.values(batches)].every(isListOfObjects);
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const isListOfObjects = (value: unknown) => Array.isArray(value) && value.every(isObject);

/** Who waits for which batches, and is told. */
export interface Waiting {
  /** By batch. */
  batches: ReadonlyMap<string, WaitingBatch>;
  /** Of more operations than this nobody is told. */
  max: number;
}

export interface WaitingBatch {
  /** The name of the process that waits. */
  replyTo: string;
  /** How many operations the batch has brought. */
  count: number;
}

export interface Settlement {
  waiting: Waiting | undefined;
  /** The operations of the transaction. */
  rows: readonly PendingRow[];
  /** The tasks before it. */
  tasks: ReadonlyMap<string, Task>;
  folded: FoldResult<QueuedOperation>;
}

/** What is waited for in a transaction. */
export interface Awaited {
  /** By who waits, and then by batch. */
  operations: Map<string, Record<string, ToldOperation[]>>;
  /** The tasks and tombstones that they name, after the transaction; stubs are none. */
  tasks: Map<string, Task>;
}

/** Finds the batches that are waited for, and that a transaction settles wholly. */
export function findAwaited({ waiting, rows, tasks, folded }: Settlement): Awaited {
  const awaited: Awaited = { operations: new Map(), tasks: new Map() };
  if (waiting === undefined || waiting.batches.size === 0) return awaited;
  const changed = new Map(folded.changed.map((task) => [task.id, task]));
  const whole = wholeBatches(rows, waiting, folded);
  for (const [index, { outcome, fields, code }] of folded.settled.entries()) {
    const row = rows[index];
    const replyTo = whole.get(row?.batchId ?? '');
    if (row === undefined || row.batchId === null || replyTo === undefined) continue;
    const { queueId: id, position, taskId, kind, ifSeq } = row;
    const why = { fieldOutcomes: fields ?? null, outcomeCode: code ?? null };
    const batches = awaited.operations.get(replyTo) ?? {};
    awaited.operations.set(replyTo, batches);
    batches[row.batchId] ??= [];
    batches[row.batchId]?.push({ id, position, taskId, kind, ifSeq, outcome, ...why });
    const task = changed.get(taskId) ?? tasks.get(taskId);
    if (task?.stub === false) awaited.tasks.set(taskId, task);
  }
  return awaited;
}

/** @returns by batch who waits for it; none where they have more operations than are told */
function wholeBatches(
  rows: readonly PendingRow[],
  { batches, max }: Waiting,
  { settled }: FoldResult<QueuedOperation>,
): Map<string, string> {
  const counts = new Map<string, number>();
  for (const [index, { batchId }] of rows.entries()) {
    if (settled[index]?.dependsOn !== undefined) continue;
    if (batchId !== null && batches.has(batchId)) counts.set(batchId, (counts.get(batchId) ?? 0) + 1);
  }
  const whole = [...batches].filter(([batchId, { count }]) => counts.get(batchId) === count);
  const total = whole.reduce((sum, [, { count }]) => sum + count, 0);
  return new Map(total > max ? [] : whole.map(([batchId, { replyTo }]) => [batchId, replyTo]));
}

/** @returns what each of those who wait is to be told; of tasks those that its own operations name */
export function tellAwaited(
  { operations, tasks }: Awaited,
  { incarnation, unsynced }: Finished,
): Map<string, ToldOutcomes> {
  const told = new Map<string, ToldOutcomes>();
  for (const [replyTo, batches] of operations) {
    const ids = new Set(Object.values(batches).flatMap((settled) => settled.map(({ taskId }) => taskId)));
    const views = [...ids].flatMap((id) => {
      const task = tasks.get(id);
      return task === undefined ? [] : [viewOf(task, unsynced.get(id) ?? 'synced')];
    });
    told.set(replyTo, { format: FORMAT, incarnation, batches, tasks: views });
  }
  return told;
}

function viewOf(task: Task, syncStatus: SyncStatus): TaskView {
  return {
    id: task.id,
    serverId: task.serverId,
    title: task.title,
    description: task.description,
    completed: task.completed,
    deleted: task.deleted,
    stub: task.stub,
    createdAt: task.createdAt,
    updatedAt: task.updatedAt,
    updatedBy: task.updatedBy,
    opId: task.opId,
    seq: task.seq,
    lastSyncedAt: task.lastSyncedAt,
    syncStatus,
  };
}
