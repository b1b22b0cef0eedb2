// To which writes an operation lost. Found while it is applied and written down then, because the task goes on changing. Under lww
// that is one write, the task's; under merge each field has its own, and a task that stays deleted has the delete.
import type { AcceptedOperation, ConflictStrategy, MergeResult } from './merge.js';
import { type FieldName, givenFields } from './mergeFields.js';
import { type Task, versionOf, versionOfField } from './task.js';
import { compareVersions, type Version } from './version.js';

/** The versions of the writes that won, by the field that they won. */
export type FieldWinners = Partial<Record<FieldName, Version>>;

export interface Losses {
  /** The write that won; of several the highest. */
  lostTo?: Version;
  /** Only where the fields were lost to different writes: each lost field with its winner. */
  fieldWinners?: FieldWinners;
}

/** @param task as the operation met it @param result what became of the operation; a code says that no version decided */
export function findLosses(
  task: Task | undefined,
  operation: AcceptedOperation,
  result: Pick<MergeResult, 'outcome' | 'fields' | 'code'>,
  strategy: ConflictStrategy = 'lww',
): Losses {
  if (task === undefined || result.code !== undefined) return {};
  if (strategy === 'lww') return result.outcome === 'conflict' ? { lostTo: versionOf(task) } : {};
  const winners = lostFields(task, operation, result).map(
    (field) => [field, field === 'deleted' ? versionOf(task) : versionOfField(task, field)] as const,
  );
  const lostTo = winners
    .map(([, version]) => version)
    .toSorted(compareVersions)
    .at(-1);
  if (lostTo === undefined) return {};
  const isOne = winners.every(([, version]) => compareVersions(version, lostTo) === 0);
  return { lostTo, ...(isOne ? {} : { fieldWinners: Object.fromEntries(winners) }) };
}

/** A conflict lost all that it gave, and where its task is deleted, that too; what gives nothing lost what it said of `deleted`. */
function lostFields(
  task: Task,
  operation: AcceptedOperation,
  { outcome, fields = {} }: Pick<MergeResult, 'outcome' | 'fields'>,
): FieldName[] {
  const given = givenFields(operation);
  if (outcome !== 'conflict') {
    const kept = given.filter((field) => fields[field] === 'kept_server');
    return fields.deleted === undefined ? kept : [...kept, 'deleted'];
  }
  return task.deleted || given.length === 0 ? [...given, 'deleted'] : given;
}
