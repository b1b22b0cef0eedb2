// A task as the server keeps it. A deleted task stays as a tombstone, so that an older write cannot bring it back.
import type { Version } from './version.js';

export interface TaskFields {
  title: string;
  description: string | null;
  completed: boolean;
}

export interface Task extends TaskFields {
  id: string;
  serverId: string;
  deleted: boolean;
  /** What is left of a tombstone after its retention: id and version. It looks like no task to everyone but the merge. */
  stub: boolean;
  /** Effective time of the operation that created it, canonical. */
  createdAt: string;
  /** With updatedBy and opId: the version of the last write that won. */
  updatedAt: string;
  updatedBy: string;
  opId: string;
  /** Place of that write in the workspace's order (I3). */
  seq: number;
  /** Server time at which that write was applied, canonical. */
  lastSyncedAt: string;
}

/** The version of the write that a task shows. */
export function versionOf(task: Task): Version {
  return { updatedAt: task.updatedAt, clientId: task.updatedBy, opId: task.opId };
}
