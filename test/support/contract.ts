// The shapes that DESIGN 5 promises: exactly these keys, and what stands in them.
import { expect } from 'chai';
import type { Answer } from './system.js';

export const TASK_KEYS = [
  'id',
  'server_id',
  'title',
  'description',
  'completed',
  'deleted',
  'created_at',
  'updated_at',
  'updated_by',
  'op_id',
  'seq',
  'sync_status',
  'last_synced_at',
];
const BATCH_KEYS = ['batch_id', 'status', 'progress', 'summary', 'processed_items', 'server_time'];
const RESULT_KEYS = ['index', 'client_id', 'op_id', 'operation', 'task_id', 'server_id', 'status', 'resolved_data'];
const PROBLEM_KEYS = ['type', 'title', 'status', 'code', 'detail', 'error', 'request_id'];
const RESULT_STATUSES = ['success', 'conflict', 'exists', 'not_found', 'error', 'pending'];

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
export const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** UTC, six digits, Z. */
export const CANONICAL = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$/;

export function expectTask(task: unknown): void {
  expect(task).to.be.an('object').with.all.keys(TASK_KEYS);
  const shown = task as Record<string, unknown>;
  expect(shown.id).to.be.a('string');
  expect(shown.server_id).to.match(UUID);
  expect(shown.title).to.be.a('string');
  expect(shown.description).to.satisfy((text: unknown) => text === null || typeof text === 'string');
  expect(shown.completed).to.be.a('boolean');
  expect(shown.deleted).to.be.a('boolean');
  for (const key of ['created_at', 'updated_at', 'last_synced_at']) expect(shown[key], key).to.match(CANONICAL);
  expect(shown.updated_by).to.be.a('string');
  expect(shown.op_id).to.be.a('string');
  expect(shown.seq).to.satisfy(Number.isSafeInteger);
  expect(shown.sync_status).to.be.oneOf(['synced', 'pending', 'error']);
}

/** A batch's answer: its shape, and that its numbers agree with its items. */
export function expectBatch(answer: Answer, status: 200 | 202): void {
  expect(answer.status, JSON.stringify(answer.body).slice(0, 500)).to.equal(status);
  expect(answer.headers.get('content-type')).to.match(/^application\/json\b/);
  const { body } = answer;
  const parts = ['clock', 'cursor'].filter((key) => key in body);
  expect(body).to.have.all.keys([...BATCH_KEYS, ...parts]);
  expect(body.batch_id).to.match(UUID_V7);
  expect(body.status).to.equal(status === 200 ? 'completed' : 'processing');
  expect(body.server_time).to.match(CANONICAL);
  const statuses: string[] = body.processed_items.map((item: { status: string }) => item.status);
  const count = (wanted: string) => statuses.filter((each) => each === wanted).length;
  const total = statuses.length;
  const processed = total - count('pending');
  expect(body.progress).to.deep.equal({ total, processed, percent: Math.floor((processed / total) * 100) });
  expect(body.summary).to.deep.equal(Object.fromEntries(RESULT_STATUSES.map((each) => [each, count(each)])));
  body.processed_items.forEach(expectResult);
}

function expectResult(item: Record<string, unknown>, index: number): void {
  const optional = [
    'message',
    'duplicate',
    'field',
    'merged',
    'fields',
    'code',
    'cursor',
    'resolved_data_omitted',
  ].filter((key) => key in item);
  expect(item).to.have.all.keys([...RESULT_KEYS, ...optional]);
  expect(item.index).to.equal(index);
  expect(item.status).to.be.oneOf(RESULT_STATUSES);
  if ('duplicate' in item) expect(item.duplicate).to.equal(true);
  if (item.status === 'error') expect(item.message, 'an error says why').to.be.a('string').that.is.not.empty;
  if ('field' in item) expect(item.field).to.be.a('string').that.is.not.empty;
  if ('code' in item) {
    expect(item.status).to.equal('conflict');
    expect(item.code).to.be.oneOf(['precondition_failed', 'deleted_remotely']);
  }
  expect('fields' in item, 'merged and fields come together').to.equal('merged' in item);
  if ('fields' in item) expectMerged(item);
  if (item.resolved_data === null) return;
  expectTask(item.resolved_data);
  expect(item.resolved_data).to.include({ id: item.task_id, server_id: item.server_id });
}

/** A result of strategy merge in which both sides won. */
function expectMerged(item: Record<string, unknown>): void {
  expect(item).to.include({ status: 'success', merged: true });
  expect(item.fields).to.be.an('object');
  const fields = Object.entries(Object(item.fields));
  for (const [name] of fields) expect(name).to.be.oneOf(['title', 'description', 'completed', 'deleted']);
  expect(new Set(fields.map(([, what]) => what))).to.have.all.keys('applied', 'kept_server');
}

/** RFC 9457, with `error` beside `detail`. */
export function expectProblem(answer: Answer, status: number, code: string): void {
  const { body } = answer;
  expect(answer.status, JSON.stringify(body)?.slice(0, 500)).to.equal(status);
  expect(answer.headers.get('content-type')).to.match(/^application\/problem\+json\b/);
  const parts = ['errors', 'retry_after_s', 'limits'].filter((key) => key in body);
  expect(body).to.have.all.keys([...PROBLEM_KEYS, ...parts]);
  const retryAfter = answer.headers.get('retry-after');
  expect(body.retry_after_s).to.equal(retryAfter === null ? undefined : Number(retryAfter));
  expect(body).to.include({ type: `urn:task-sync:error:${code}`, status, code, error: body.detail });
  expect(body.title).to.be.a('string').that.is.not.empty;
  expect(body.detail).to.be.a('string').that.is.not.empty;
  expect(body.request_id).to.equal(answer.headers.get('x-request-id'));
  for (const each of body.errors ?? []) expect(each).to.have.all.keys('field', 'message');
}

/** A 400 that names this field. */
export function expectInvalid(answer: Answer, field: string): void {
  expectProblem(answer, 400, 'invalid_request');
  expect(answer.body.errors.map((each: { field: string }) => each.field)).to.include(field);
}

/** Where a reference in the answer to a request for `path` leads. */
export function followReference(path: string, reference: string): string {
  const { pathname, search } = new URL(reference, new URL(path, 'http://localhost'));
  return `${pathname}${search}`;
}

/** The address of the next page; undefined on the last one. @param path what was asked for */
export function nextPage(answer: Answer, path: string): string | undefined {
  const link = answer.headers.get('link');
  if (link === null) return undefined;
  const match = /^<(.+)>; rel="next"$/.exec(link);
  expect(match, link).to.not.equal(null);
  return match?.[1] === undefined ? undefined : followReference(path, match[1]);
}
