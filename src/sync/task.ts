// A task as the server keeps it. A deleted task stays as a tombstone, so that an older write cannot bring it back.
import type { Version } from './version.js';

export interface TaskFields {
  title: string;
  description: string | null;
  completed: boolean;
}

/** The fields that an operation can set. */
export const FIELD_NAMES = ['title', 'description', 'completed'] as const satisfies readonly (keyof TaskFields)[];

/** The versions of those fields whose last write is not the one that the task shows as its own. */
export type FieldVersions = Partial<Record<keyof TaskFields, Version>>;

export interface Task extends TaskFields {
  id: string;
  serverId: string;
  deleted: boolean;
  /** What is left of a tombstone after its retention: id and version. It looks like no task to everyone but the merge. */
  stub: boolean;
  /** Effective time of the operation that created it, canonical. */
  createdAt: string;
  /** With updatedBy and opId: the version of the last write that won; under strategy merge the highest of its fields' versions. */
  updatedAt: string;
  updatedBy: string;
  opId: string;
  /** Strategy merge; null: every field has the task's own version. */
  fieldVersions: FieldVersions | null;
  /** Place of that write in the workspace's order (I3). */
  seq: number;
  /** Server time at which that write was applied, canonical. */
  lastSyncedAt: string;
}

/** The version of the write that a task shows. */
export function versionOf(task: Pick<Task, 'updatedAt' | 'updatedBy' | 'opId'>): Version {
  return { updatedAt: task.updatedAt, clientId: task.updatedBy, opId: task.opId };
}

/** The version of the write that a field of a task shows. */
export function versionOfField(task: Task, field: keyof TaskFields): Version {
  return task.fieldVersions?.[field] ?? versionOf(task);
}

/** The fields with what `set` holds put over them; what is absent in it stays. */
export function setFields(base: TaskFields, set: Partial<TaskFields>): TaskFields {
  return {
    title: set.title ?? base.title,
    description: set.description === undefined ? base.description : set.description,
    completed: set.completed ?? base.completed,
  };
}
