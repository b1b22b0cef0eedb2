// Every failure leaves as RFC 9457 application/problem+json. Foreseen ones carry their code; the rest becomes 503 when trying again
// can help (the database is away) and 500 when not, and only that is logged as an error.
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { ApiError, ERROR_KINDS, type ErrorCode, type FieldError } from '../../errors.js';
import { describeError, type Logger } from '../../logger.js';
import { classifyFault } from '../../sync/retryPolicy.js';
import { requestIdOf } from './requestContext.js';

/** Seconds after which a request that met an unavailable server may be sent again. */
const RETRY_AFTER_S = 2;

/** Answers for addresses that no route knows. */
export const unknownAddress: RequestHandler = (request) => {
  throw new ApiError('not_found', `There is nothing at ${request.path}; GET / lists what there is.`);
};

/** The last middleware: turns what was thrown into an answer. */
export function problemHandler(logger: Logger, bodyLimitBytes: number): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    const known = error instanceof ApiError ? error : (bodyError(error, bodyLimitBytes) ?? faultError(error));
    const requestId = requestIdOf(response);
    if (known.code === 'internal')
      logger.error('a request failed', { requestId, ...describeError(error), stack: stackOf(error) });
    else if (known.code === 'unavailable')
      logger.warn('a request could not be served', { requestId, ...describeError(error) });
    if (response.headersSent) return next(error);
    if (known.code === 'unavailable') response.set('Retry-After', String(RETRY_AFTER_S));
    response.set(known.extra.headers ?? {});
    sendProblem(response, known.code, known.detail, known.extra.errors);
  };
}

function sendProblem(response: Response, code: ErrorCode, detail: string, errors?: FieldError[]) {
  const { status, title } = ERROR_KINDS[code];
  const body = {
    type: `urn:task-sync:error:${code}`,
    title,
    status,
    code,
    detail,
    error: detail,
    request_id: requestIdOf(response),
    ...(errors === undefined ? {} : { errors }),
  };
  response.status(status).type('application/problem+json').send(JSON.stringify(body));
}

/** What Express and its body parser throw before a route is reached. */
function bodyError(error: unknown, limitBytes: number): ApiError | undefined {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return undefined;
  if (error.status === 413) {
    return new ApiError('too_large', `The body is larger than BODY_LIMIT, ${limitBytes} bytes. Send smaller batches.`);
  }
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

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
