// Last write wins per task. Pure: the same operations in the same order give the same tasks, outcomes and seqs, wherever they run.
// One operation is decided by mergeOperation; a transaction's worth is folded by foldOperations, which counts seq (I3).
import { type Task, type TaskFields, versionOf } from './task.js';
import { compareVersions, type Version } from './version.js';

export type OperationKind = 'create' | 'update' | 'delete';

/** What became of an operation that was applied: the device's write won (success), or why it changed nothing. */
export type Outcome = 'success' | 'conflict' | 'exists' | 'not_found';

/** Why, where an outcome alone does not tell the device what to do. */
export type OutcomeCode = 'deleted_remotely';

/** An accepted operation: its effective time is fixed, its fields are valid. */
export interface AcceptedOperation extends Version {
  kind: OperationKind;
  taskId: string;
  /** The fields it sets; one that is absent stays as it is. */
  fields: Partial<TaskFields>;
}

/** A task without what only the server's bookkeeping knows. */
type MergedTask = Omit<Task, 'serverId' | 'seq' | 'lastSyncedAt'>;

export interface MergeResult {
  outcome: Outcome;
  code?: OutcomeCode;
  /** The task after the operation; undefined when the operation has no effect. */
  changed?: MergedTask;
}

const NEW_TASK_FIELDS: TaskFields = { title: '', description: null, completed: false };

/** Decides one operation against the task as it is (undefined: no such task). The rules are DESIGN 3. */
export function mergeOperation(task: Task | undefined, operation: AcceptedOperation): MergeResult {
  if (task === undefined) {
    return operation.kind === 'create'
      ? { outcome: 'success', changed: write(operation, NEW_TASK_FIELDS, operation.updatedAt) }
      : { outcome: 'not_found' };
  }
  const order = compareVersions(operation, versionOf(task));
  if (task.stub) return mergeIntoStub(operation, order);
  // The same version is the same operation, met again after its log row was pruned: its effect is there already.
  if (order === 0) return { outcome: operation.kind === 'create' ? 'exists' : 'success' };
  if (order < 0) return { outcome: 'conflict' };
  return { outcome: 'success', changed: write(operation, task, task.createdAt) };
}

/** A stub stands for a task that is gone for good: only a create from after its deletion makes a task under its id, a new one. */
function mergeIntoStub(operation: AcceptedOperation, order: number): MergeResult {
  // The deletion itself, met again after its log row was pruned.
  if (order === 0 && operation.kind === 'delete') return { outcome: 'success' };
  if (order <= 0 || operation.kind !== 'create') return { outcome: 'conflict', code: 'deleted_remotely' };
  return { outcome: 'success', changed: write(operation, NEW_TASK_FIELDS, operation.updatedAt) };
}

function write(operation: AcceptedOperation, base: TaskFields, createdAt: string): MergedTask {
  const set = operation.kind === 'delete' ? {} : operation.fields;
  return {
    id: operation.taskId,
    title: set.title ?? base.title,
    description: set.description === undefined ? base.description : set.description,
    completed: set.completed ?? base.completed,
    deleted: operation.kind === 'delete',
    stub: false,
    createdAt,
    updatedAt: operation.updatedAt,
    updatedBy: operation.clientId,
    opId: operation.opId,
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
}

export interface FoldResult<Op extends AcceptedOperation> {
  /** One for each operation, in their order; seq is null where there was no effect. */
  settled: { operation: Op; outcome: Outcome; code: OutcomeCode | null; seq: number | null }[];
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
  const settled = input.operations.map((operation) => {
    const current = tasks.get(operation.taskId);
    const result = mergeOperation(current, operation);
    const { outcome, code = null } = result;
    if (result.changed === undefined) return { operation, outcome, code, seq: null };
    seq += 1;
    const serverId = current?.serverId ?? input.newServerId();
    const task = { ...result.changed, serverId, seq, lastSyncedAt: input.now };
    tasks.set(task.id, task);
    changed.set(task.id, task);
    return { operation, outcome, code, seq };
  });
  return { settled, changed: [...changed.values()], seq };
}
