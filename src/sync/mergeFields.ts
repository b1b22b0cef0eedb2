// Strategy merge: every field shows the write with the highest version among those that set it, so edits of different fields do not
// conflict. Each field is a last-writer-wins register and the task is their product: taking the higher version is commutative,
// associative and idempotent, so the order of arrival does not matter (I4, docs/decisions/0010-merge-per-field.md).
// `deleted` is a field that every operation writes: a delete says true, any other false. Its version is therefore the highest of all,
// which is the task's own version, and is not kept a second time.
import type { AcceptedOperation, MergedTask, MergeResult } from './merge.js';
import {
  FIELD_NAMES,
  type FieldVersions,
  setFields,
  type Task,
  type TaskFields,
  versionOf,
  versionOfField,
} from './task.js';
import { compareVersions, LOWEST_VERSION, type Version } from './version.js';

/** What became of a field that an operation wrote. */
export type FieldOutcome = 'applied' | 'kept_server';

/** What the versions are compared of: the fields that an operation sets, and whether the task is there. */
export type FieldName = keyof TaskFields | 'deleted';

/** All of them, in the order in which they are told. */
export const MERGED_FIELDS: readonly FieldName[] = [...FIELD_NAMES, 'deleted'];

export type FieldOutcomes = Partial<Record<FieldName, FieldOutcome>>;

/** Decides an operation, whose effect is not in yet, against an existing task or tombstone. */
export function mergeFields(task: Task, operation: AcceptedOperation): MergeResult {
  const given = givenFields(operation);
  const won = given.filter((field) => compareVersions(operation, versionOfField(task, field)) > 0);
  const isNewest = compareVersions(operation, versionOf(task)) > 0;
  const createdAt = earliestCreation(task, operation);
  if (won.length === 0 && !isNewest) {
    return createdAt === task.createdAt
      ? { outcome: 'conflict' }
      : { outcome: 'conflict', changed: { ...task, createdAt } };
  }
  const fields = outcomesOf(given, won, task.deleted && operation.kind !== 'delete' && !isNewest);
  const isPartial = Object.values(fields).includes('kept_server');
  const changed = { ...write(task, operation, won, isNewest), createdAt };
  return { outcome: 'success', changed, ...(isPartial ? { fields } : {}) };
}

/** The versions of the fields of a new task: those that the create leaves out lose against any operation that gives them. */
export function createdFieldVersions(operation: AcceptedOperation): FieldVersions | null {
  const given = givenFields(operation);
  const own = versionOfOperation(operation);
  return compactVersions(own, (field) => (given.includes(field) ? own : LOWEST_VERSION));
}

/** The fields that an operation sets; a delete sets none. */
export function givenFields({ kind, fields }: AcceptedOperation): (keyof TaskFields)[] {
  return kind === 'delete' ? [] : FIELD_NAMES.filter((field) => fields[field] !== undefined);
}

/** Of several creates of one task the earliest counts, whichever came first. */
function earliestCreation(task: Task, operation: AcceptedOperation): string {
  return operation.kind === 'create' && operation.updatedAt < task.createdAt ? operation.updatedAt : task.createdAt;
}

/** `deleted` is listed only where its value is at stake: that an edit says "alive" about a task that is alive is no news. */
function outcomesOf(given: (keyof TaskFields)[], won: (keyof TaskFields)[], staysDeleted: boolean): FieldOutcomes {
  const fields: FieldOutcomes = {};
  for (const field of given) fields[field] = won.includes(field) ? 'applied' : 'kept_server';
  if (staysDeleted) fields.deleted = 'kept_server';
  return fields;
}

function write(task: Task, operation: AcceptedOperation, won: (keyof TaskFields)[], isNewest: boolean): MergedTask {
  const set = { ...operation.fields };
  for (const field of FIELD_NAMES) if (!won.includes(field)) delete set[field];
  const written = versionOfOperation(operation);
  const own = isNewest ? written : versionOf(task);
  return {
    id: task.id,
    ...setFields(task, set),
    stub: false,
    deleted: isNewest ? operation.kind === 'delete' : task.deleted,
    createdAt: task.createdAt,
    updatedAt: own.updatedAt,
    updatedBy: own.clientId,
    opId: own.opId,
    fieldVersions: compactVersions(own, (field) => (won.includes(field) ? written : versionOfField(task, field))),
  };
}

/** One form for one meaning, so that equal states are equal values: only what differs from the task's own version is listed. */
function compactVersions(own: Version, versionFor: (field: keyof TaskFields) => Version): FieldVersions | null {
  const versions: FieldVersions = {};
  for (const field of FIELD_NAMES) {
    const version = versionFor(field);
    if (compareVersions(version, own) !== 0) versions[field] = version;
  }
  return Object.keys(versions).length === 0 ? null : versions;
}

function versionOfOperation({ updatedAt, clientId, opId }: AcceptedOperation): Version {
  return { updatedAt, clientId, opId };
}
