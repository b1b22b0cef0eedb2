// Conditional requests on single tasks (RFC 9110, 13). A task's entity tag is its seq: every change of the task takes a new one, and no
// two changes of a workspace share one. sync_status says how the queue stands and is not part of what the tag names. Proxies that compress
// an answer change its tag (nginx makes it weak, Apache and Caddy add a suffix), and clients send back what they got: the seq in it is
// compared, which is strong whatever stands around it. RFC 9110, 13.1.1, would let a weak tag match nothing (docs/decisions/0028).
import type { Request } from 'express';
import { ApiError } from '../errors.js';

/** The strong entity tag of a task at this seq. */
export function entityTag(task: { seq: number }): string {
  return `"${task.seq}"`;
}

/** Whether If-None-Match says that the client has the task as it is, so that 304 is the answer.
 * Not left to Express: it takes Cache-Control: no-cache for a wish for the whole task, and fetch() adds that to every If-None-Match. */
export function isKnown(request: Request, task: { seq: number; deleted: boolean }): boolean {
  const tags = readTags(request.get('if-none-match'));
  return tags === '*' ? !task.deleted : tags.includes(entityTag(task));
}

/**
 * Holds a task, live or deleted, against what a write asks of it, in the order of RFC 9110, 13.2.2. If-Match: the tag is listed; * asks
 * for a task that can be read. If-None-Match is the opposite.
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

const TAG_LIST = /"[\x21\x23-\x7e\x80-\xff]*"/g;
/** What stands behind the seq where a proxy has compressed the answer. */
const ENCODING_SUFFIX = /(?<=\d)[-;.:+]+(?:gzip|br|zstd|deflate)(?="$)/;

/** The tags of a list as they were given out; what is no tag is passed over, and then matches nothing. */
function readTags(header: string | undefined): '*' | string[] {
  if (header?.trim() === '*') return '*';
  return [...(header ?? '').matchAll(TAG_LIST)].map(([tag]) => tag.replace(ENCODING_SUFFIX, ''));
}
