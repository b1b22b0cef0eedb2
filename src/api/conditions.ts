// Conditional requests on single tasks (RFC 9110, 13). A task's entity tag is its seq: every change of the task takes a new one, and no
// two changes of a workspace share one. sync_status says how the queue stands and is not part of what the tag names.
import type { Request } from 'express';
import { ApiError } from '../errors.js';

/** The strong entity tag of a task at this seq. */
export function entityTag(task: { seq: number }): string {
  return `"${task.seq}"`;
}

/** Whether If-None-Match says that the client has the task as it is, so that 304 is the answer. Weak tags match as well.
 * Not left to Express: it takes Cache-Control: no-cache for a wish for the whole task, and fetch() adds that to every If-None-Match. */
export function isKnown(request: Request, task: { seq: number }): boolean {
  const tags = readTags(request.get('if-none-match'));
  return tags === '*' || tags.some((tag) => tag.replace(/^W\//, '') === entityTag(task));
}

/**
 * Holds a task, live or deleted, against If-Match; without that header anything will do. A weak tag matches nothing, and * a task
 * that can be read.
 * @throws ApiError precondition_failed
 */
export function requireMatch(request: Request, task: { seq: number; deleted: boolean }): void {
  const header = request.get('if-match');
  if (header === undefined) return;
  const tags = readTags(header);
  if (tags === '*' ? !task.deleted : tags.includes(entityTag(task))) return;
  throw new ApiError(
    'precondition_failed',
    `The task has the ETag ${entityTag(task)}, which If-Match does not list; nothing was changed.`,
    { headers: { ETag: entityTag(task) } },
  );
}

const TAG_LIST = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/** The tags of a list, weak ones with their W/; what is no tag is passed over, and then matches nothing. */
function readTags(header: string | undefined): '*' | string[] {
  return header?.trim() === '*' ? '*' : [...(header ?? '').matchAll(TAG_LIST)].map(([tag]) => tag);
}
