// Every failure of a request leaves as RFC 9457 application/problem+json; only unforeseen ones are logged as errors.
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { ApiError, ERROR_KINDS } from '../../errors.js';
import { describeError, type Logger } from '../../logger.js';
import { describeProblem, toApiError } from '../problem.js';
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
    const known = toApiError(error, bodyLimitBytes);
    const requestId = requestIdOf(response);
    if (known.code === 'internal') {
      const stack = error instanceof Error ? error.stack : undefined;
      logger.error('a request failed', { requestId, ...describeError(error), stack });
    } else if (known.code === 'unavailable') {
      logger.warn('a request could not be served', { requestId, ...describeError(error) });
    }
    if (response.headersSent) return next(error);
    if (known.code === 'unavailable') response.set('Retry-After', String(RETRY_AFTER_S));
    response.set(known.extra.headers ?? {});
    const body = JSON.stringify(describeProblem(known, requestId));
    response.status(ERROR_KINDS[known.code].status).type('application/problem+json').send(body);
  };
}
