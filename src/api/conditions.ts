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
export function isKnown(request: Request, task: { seq: number; deleted: boolean }): boolean {
  const tags = readTags(request.get('if-none-match'));
  return tags === '*' ? !task.deleted : tags.some((tag) => tag.replace(/^W\//, '') === entityTag(task));
}

/**
 * Holds a task, live or deleted, against what a write asks of it, in the order of RFC 9110, 13.2.2. If-Match: the tag is listed (a weak
 * one matches nothing); * asks for a task that can be read. If-None-Match is the opposite, and here weak tags count.
 * @throws ApiError precondition_failed
 */
export function requireConditions(request: Request, task: { seq: number; deleted: boolean }): void {
  const tag = entityTag(task);
  const header = request.get('if-match');
  if (header !== undefined) {
    const tags = readTags(header);
    const isMatch = tags === '*' ? !task.deleted : tags.includes(tag);
    if (!isMatch) throw failed(task, `The task has the ETag ${tag}, which If-Match does not list`);
  }
  if (!isKnown(request, task)) return;
  const isAny = readTags(request.get('if-none-match')) === '*';
  throw failed(
    task,
    isAny
      ? 'The task exists, and If-None-Match: * asks that it does not'
      : `The task has the ETag ${tag}, which If-None-Match lists`,
  );
}

function failed(task: { seq: number }, why: string): ApiError {
  const headers = { ETag: entityTag(task) };
  return new ApiError('precondition_failed', `${why}; nothing was changed.`, { headers });
}

const TAG_LIST = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/** The tags of a list, weak ones with their W/; what is no tag is passed over, and then matches nothing. */
function readTags(header: string | undefined): '*' | string[] {
  return header?.trim() === '*' ? '*' : [...(header ?? '').matchAll(TAG_LIST)].map(([tag]) => tag);
}
