// Who wins: per task (strategy lww, here) or per field (strategy merge, mergeFields.ts). Pure: the same operations in the same order
// give the same tasks, outcomes and seqs, wherever they run. One operation is decided by mergeOperation; a transaction's worth is
// folded by foldOperations, which counts seq (I3).
import { findLosses, type Losses } from './losses.js';
import { createdFieldVersions, type FieldOutcomes, mergeFields } from './mergeFields.js';
import { createOwnOrder, type EarlierOperation } from './ownOrder.js';
import { setFields, type Task, type TaskFields, versionOf } from './task.js';
import { compareVersions, type Version } from './version.js';

export type OperationKind = 'create' | 'update' | 'delete';

/** What became of an operation that was applied: the device's write won (success), or why it changed nothing. */
export type Outcome = 'success' | 'conflict' | 'exists' | 'not_found';

/** Why, where an outcome alone does not tell the device what to do. */
export type OutcomeCode = 'precondition_failed' | 'deleted_remotely' | 'depends_on_failed' | 'id_taken';

/** lww: versions are compared per task. merge: per field. */
export const CONFLICT_STRATEGIES = ['lww', 'merge'] as const;
export type ConflictStrategy = (typeof CONFLICT_STRATEGIES)[number];

/** An accepted operation: its effective time is fixed, its fields are valid. */
export interface AcceptedOperation extends Version {
  kind: OperationKind;
  taskId: string;
  /** The fields it sets; one that is absent stays as it is. */
  fields: Partial<TaskFields>;
  /** Only to be applied to the task at this seq; 0: only if there is no such task. */
  ifSeq?: number;
  /** A create of its task that came before it and could not be applied, but may be later: there need not be one. */
  failedCreateId?: number;
  /** A create under an id that is another task's server_id: it would take that task's address over. */
  isIdTaken?: true;
  /** The time as its device wrote it; null where it wrote none, and undefined for what no device wrote. */
  writtenAt?: string | null;
  /** Operations of the same client on the same task that were sent before, as far as they may be in its way. */
  sentBefore?: readonly EarlierOperation[];
}

/** A task without what only the server's bookkeeping knows. */
export type MergedTask = Omit<Task, 'serverId' | 'seq' | 'lastSyncedAt'>;

export interface MergeResult {
  outcome: Outcome;
  /** The task after the operation; undefined when the operation has no effect. */
  changed?: MergedTask;
  /** What became of each field; only where some were applied and others were not. */
  fields?: FieldOutcomes;
  code?: OutcomeCode;
}

const NEW_TASK_FIELDS: TaskFields = { title: '', description: null, completed: false };

/** Decides one operation against the task as it is (undefined: no such task). The rules are DESIGN 3. */
export function mergeOperation(
  task: Task | undefined,
  operation: AcceptedOperation,
  strategy: ConflictStrategy = 'lww',
): MergeResult {
  if (task?.stub === true) return mergeIntoStub(task, operation, strategy);
  // Met again after its log row was pruned: its effect is there already, whatever has become of its precondition.
  if (task !== undefined && isInAlready(task, operation)) {
    return { outcome: operation.kind === 'create' ? 'exists' : 'success' };
  }
  if (operation.ifSeq !== undefined && operation.ifSeq !== (task?.seq ?? 0)) {
    return { outcome: 'conflict', code: 'precondition_failed' };
  }
  if (task === undefined) {
    if (operation.isIdTaken === true) return { outcome: 'conflict', code: 'id_taken' };
    return operation.kind === 'create'
      ? { outcome: 'success', changed: create(operation, strategy) }
      : { outcome: 'not_found' };
  }
  if (strategy === 'merge') return mergeFields(task, operation);
  if (compareVersions(operation, versionOf(task)) < 0) return { outcome: 'conflict' };
  return { outcome: 'success', changed: write(operation, task, task.createdAt) };
}

/** Some field, or the task, shows it. Its time may have been moved when it was applied, never back. */
function isInAlready(task: Task, operation: AcceptedOperation): boolean {
  const isIt = ({ clientId, opId, updatedAt }: Version) =>
    clientId === operation.clientId && opId === operation.opId && operation.updatedAt <= updatedAt;
  return isIt(versionOf(task)) || (task.fieldVersions !== null && Object.values(task.fieldVersions).some(isIt));
}

function create(operation: AcceptedOperation, strategy: ConflictStrategy): MergedTask {
  const created = write(operation, NEW_TASK_FIELDS, operation.updatedAt);
  return strategy === 'merge' ? { ...created, fieldVersions: createdFieldVersions(operation) } : created;
}

/** A stub stands for a task that is gone for good: only a create from after its deletion makes a task under its id, a new one. */
function mergeIntoStub(stub: Task, operation: AcceptedOperation, strategy: ConflictStrategy): MergeResult {
  // The deletion itself, met again after its log row was pruned.
  if (operation.kind === 'delete' && isInAlready(stub, operation)) return { outcome: 'success' };
  const order = compareVersions(operation, versionOf(stub));
  if (order <= 0 || operation.kind !== 'create') return { outcome: 'conflict', code: 'deleted_remotely' };
  return { outcome: 'success', changed: create(operation, strategy) };
}

/** The whole task at the operation's version, also the fields that it leaves as they are. */
function write(operation: AcceptedOperation, base: TaskFields, createdAt: string): MergedTask {
  const { title, description, completed } = operation.kind === 'delete' ? base : setFields(base, operation.fields);
  return {
    id: operation.taskId,
    title,
    description,
    completed,
    deleted: operation.kind === 'delete',
    stub: false,
    createdAt,
    updatedAt: operation.updatedAt,
    updatedBy: operation.clientId,
    opId: operation.opId,
    fieldVersions: null,
  };
}

export interface FoldInput<Op extends AcceptedOperation> {
  /** The current tasks that the operations name, by id; those that do not exist are absent. */
  tasks: ReadonlyMap<string, Task>;
  /** In the order of acceptance. */
  operations: readonly Op[];
  /** The workspace's seq before the first of them. */
  seq: number;
  /** Server time of this transaction, canonical. */
  now: string;
  newServerId: () => string;
  /** lww if it is not given. */
  strategy?: ConflictStrategy;
}

/** What it lost to, too: written down now, because the task goes on changing. */
export interface Settled<Op extends AcceptedOperation> extends Losses {
  /** With the effective time that decided. */
  operation: Op;
  /** Its time was moved behind an operation that its client had sent before. */
  isMoved?: true;
  outcome: Outcome;
  /** Null where there was no effect. */
  seq: number | null;
  /** What became of each field, where not all of them won. */
  fields?: FieldOutcomes;
  code?: OutcomeCode;
  /** The operation found a tombstone and made a task of it again. */
  broughtBack?: true;
  /** It found no task only because this create has failed: what becomes of it is open, and its outcome here means nothing. */
  dependsOn?: number;
}

export interface FoldResult<Op extends AcceptedOperation> {
  /** One for each operation, in their order. */
  settled: Settled<Op>[];
  /** Each changed task once, in its last state: one SQL statement may not touch a row twice. */
  changed: Task[];
  /** The workspace's seq after the last of them. */
  seq: number;
}

/** Applies operations one after the other to a copy of the tasks; every effect takes the next seq, without gaps (I3). */
export function foldOperations<Op extends AcceptedOperation>(input: FoldInput<Op>): FoldResult<Op> {
  const tasks = new Map(input.tasks);
  const changed = new Map<string, Task>();
  let seq = input.seq;
  const ownOrder = createOwnOrder();
  const settled = input.operations.map((sent): Settled<Op> => {
    const operation = ownOrder.place(sent);
    const current = tasks.get(operation.taskId);
    const result = mergeOperation(current, operation, input.strategy);
    const { changed: merged, outcome, fields, code } = result;
    const each: Settled<Op> = { operation, outcome, seq: null };
    if (operation !== sent) each.isMoved = true;
    // What had no place in the task has none in its client's order.
    if (outcome !== 'not_found' && code === undefined) ownOrder.add(operation);
    if (fields !== undefined) each.fields = fields;
    if (code !== undefined) each.code = code;
    Object.assign(each, findLosses(current, operation, result, input.strategy));
    if (merged === undefined) {
      const isWithoutTask = outcome === 'not_found' || code === 'deleted_remotely';
      if (isWithoutTask && operation.failedCreateId !== undefined) each.dependsOn = operation.failedCreateId;
      return each;
    }
    seq += 1;
    each.seq = seq;
    const serverId = current?.serverId ?? input.newServerId();
    const task = taskOf(merged, serverId, seq, input.now);
    tasks.set(task.id, task);
    changed.set(task.id, task);
    if (current?.deleted === true && !current.stub && !task.deleted) each.broughtBack = true;
    return each;
  });
  return { settled, changed: [...changed.values()], seq };
}

// Field by field: `{ ...merged, serverId, seq, lastSyncedAt }` takes V8 (Node 20) 4.2 us, this 0.1 (docs/decisions/0018).
function taskOf(merged: MergedTask, serverId: string, seq: number, lastSyncedAt: string): Task {
  return {
    id: merged.id,
    serverId,
    title: merged.title,
    description: merged.description,
    completed: merged.completed,
    deleted: merged.deleted,
    stub: merged.stub,
    createdAt: merged.createdAt,
    updatedAt: merged.updatedAt,
    updatedBy: merged.updatedBy,
    opId: merged.opId,
    fieldVersions: merged.fieldVersions,
    seq,
    lastSyncedAt,
  };
}
