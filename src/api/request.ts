// Reading requests: which workspace they are for, their validated query and body, cursors, and links to the next page.
import type { Request, Response } from 'express';
import Joi from 'joi';
import { ApiError, type FieldError } from '../errors.js';
import { DEFAULT_WORKSPACE_ID } from '../storage/models/workspace.js';
import { findUnstorable } from '../sync/unstorable.js';
import { decodeUtf8 } from './decoding.js';

/** The workspace of a request; the one place to look it up. Without accounts there is only the default one. */
export function workspaceOf(_request: Request): string {
  return DEFAULT_WORKSPACE_ID;
}

const LIST_LIMIT_DEFAULT = 100;
const LIST_LIMIT_MAX = 1_000;

/** Schema of a list's ?limit. */
export const limitRule = Joi.number().integer().min(1).max(LIST_LIMIT_MAX).default(LIST_LIMIT_DEFAULT);

/** The JSON body, checked as it is; fields that the schema does not know are ignored. @throws ApiError invalid_request */
export function readBody<Shape>(request: Request, schema: Joi.ObjectSchema<Shape>): Shape {
  const body: unknown = request.body;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError('invalid_json', 'The body must be a JSON object, sent with Content-Type: application/json.');
  }
  const unstorable = findUnstorable(body);
  if (unstorable !== undefined) throw invalidRequest([unstorable]);
  return check(schema, body, { convert: false, stripUnknown: true });
}

/** A value as its schema reads it. @throws ApiError invalid_request */
export function check<Shape>(schema: Joi.ObjectSchema<Shape>, value: unknown, options: Joi.ValidationOptions): Shape {
  const result = schema.validate(value, { ...options, abortEarly: false, errors: { wrap: { label: false } } });
  if (result.error === undefined) return result.value;
  throw invalidRequest(
    result.error.details.map(({ path, message }) => ({
      field: path.join('.') || 'body',
      message: message.replace(/^value /, 'the body '),
    })),
  );
}

/** A 400 that names each field that is wrong. */
export function invalidRequest(errors: FieldError[]): ApiError {
  return new ApiError('invalid_request', errors.map(({ message }) => message).join('; '), { errors });
}

/** An opaque cursor. */
export function encodeCursor(place: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** The place inside a cursor that encodeCursor made. @throws ApiError invalid_request */
export function decodeCursor<Place extends readonly unknown[]>(
  cursor: string,
  isPlace: (value: unknown) => value is Place,
): Place {
  try {
    const place: unknown = JSON.parse(decodeUtf8(Buffer.from(cursor, 'base64url'), 'cursor'));
    if (isPlace(place)) return place;
  } catch {
    // Not JSON, or not UTF-8: the same answer as for JSON of another shape.
  }
  throw invalidRequest([{ field: 'cursor', message: 'cursor is not one that this list gave; start without it' }]);
}

/** Names the next page in the Link header (RFC 8288): the address that was asked for, whatever it is outside, with another cursor. */
export function linkNext(request: Request, response: Response, cursor: string): void {
  const [, query = ''] = request.originalUrl.split('?');
  const params = new URLSearchParams(query);
  params.set('cursor', cursor);
  response.set('Link', `<?${params}>; rel="next"`);
}

/**
 * A reference from one of our addresses to another that is right under every prefix that a proxy takes away: `batches/7` from
 * /api/sync/batch.
 * @param from the path that was asked for, @param to the path that is meant; both absolute
 */
export function relativeReference(from: string, to: string): string {
  const base = from.split('/').slice(0, -1);
  const target = to.split('/');
  let shared = 0;
  while (shared < base.length && shared < target.length - 1 && base[shared] === target[shared]) shared += 1;
  return [...base.slice(shared).map(() => '..'), ...target.slice(shared)].join('/');
}
