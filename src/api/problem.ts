// From what was thrown to what is answered: the codes of errors.ts.
import { ApiError } from '../errors.js';
import { classifyFault } from '../sync/retryPolicy.js';
import { unreadCharset } from './decoding.js';

/** The error to answer with: a foreseen one as it is, else 503 when trying again can help (the database is away) and 500 when not. */
export function toApiError(error: unknown, bodyLimitBytes: number): ApiError {
  if (error instanceof ApiError) return error;
  return bodyError(error, bodyLimitBytes) ?? faultError(error);
}

/** What stands around the operations of a batch: the names, the brackets and `client_timestamp`. */
const ENVELOPE_BYTES = 128;

/** What a body may be, as GET / says it. */
export function bodyLimits(limitBytes: number) {
  return { body_bytes: limitBytes, max_item_bytes: limitBytes - ENVELOPE_BYTES };
}

/** A body that is larger than it may be. */
export function bodyTooLarge(limitBytes: number): ApiError {
  return new ApiError(
    'too_large',
    `The body is larger than BODY_LIMIT, ${limitBytes} bytes. Send smaller batches; an operation that is alone in its batch is itself too large.`,
    { limits: bodyLimits(limitBytes) },
  );
}

/** What Express and its body parser throw before a route is reached. */
function bodyError(error: unknown, limitBytes: number): ApiError | undefined {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return undefined;
  if (error.status === 413) return bodyTooLarge(limitBytes);
  if ('charset' in error && typeof error.charset === 'string') return unreadCharset(error.charset);
  if (error.status === 415) return new ApiError('unsupported_encoding', error.message);
  if (error.status >= 500) return undefined;
  const isJson = 'type' in error && error.type === 'entity.parse.failed';
  return isJson
    ? new ApiError('invalid_json', `The body is not valid JSON: ${error.message}.`)
    : new ApiError('invalid_request', `The request could not be read: ${error.message}.`);
}

function faultError(error: unknown): ApiError {
  return classifyFault(error) === 'transient'
    ? new ApiError('unavailable', 'The database does not answer. Nothing was lost; send the same again.', {
        cause: error,
      })
    : new ApiError('internal', 'An unforeseen error. The request_id finds it in the log.', { cause: error });
}
