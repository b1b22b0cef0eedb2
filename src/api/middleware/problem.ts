// Every failure of a request leaves as RFC 9457 application/problem+json; only unforeseen ones are logged as errors.
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { clientAddress } from '../../clientAddress.js';
import { ApiError, describeProblem, ERROR_KINDS, retryAfterS } from '../../errors.js';
import { describeError, describeStack, type Logger } from '../../logger.js';
import { toApiError } from '../problem.js';
import { requestIdOf } from './requestContext.js';

/** Answers for addresses that no route knows. */
export const unknownAddress: RequestHandler = (request) => {
  throw new ApiError('not_found', `There is nothing at ${request.path}; GET / lists what there is.`);
};

/** Turns what was thrown into an answer: the last middleware, and what shedLoad answers with. */
export function problemHandler(deps: {
  logger: Logger;
  config: { bodyLimitBytes: number; trustedProxies: number };
  random: () => number;
}): ErrorRequestHandler {
  const { logger } = deps;
  return (error: unknown, request, response, next) => {
    const known = toApiError(error, deps.config.bodyLimitBytes);
    const requestId = requestIdOf(response);
    response.locals.isShed = known.code === 'overloaded' || known.code === 'too_many_pending';
    if (known.code === 'internal') {
      logger.error('a request failed', { requestId, ...describeError(error), stack: describeStack(error) });
    } else if (known.code === 'unavailable') {
      logger.warn('a request could not be served', { requestId, ...describeError(error) });
    } else if (known.code === 'host_not_allowed' || known.code === 'origin_not_allowed') {
      // Whoever forgot to list a name of their own looks here; the page that asked shows nothing of the answer.
      const what = known.code === 'host_not_allowed' ? 'a host name was refused' : 'a browser was refused';
      const address = clientAddress(request, deps.config.trustedProxies);
      logger.warn(what, { requestId, address, path: request.path, code: known.code, detail: known.detail });
    }
    if (response.headersSent) return next(error);
    const retryAfter = retryAfterS(known.code, deps.random());
    if (retryAfter !== undefined) response.set('Retry-After', String(retryAfter));
    response.set(known.extra.headers ?? {});
    const body = JSON.stringify(describeProblem(known, requestId, retryAfter));
    response.status(ERROR_KINDS[known.code].status).type('application/problem+json');
    // Not send(): it hands over a Buffer, which Node writes apart from the headers; under an overload writing is most of what a refusal costs.
    response.set('Content-Length', String(Buffer.byteLength(body))).end(body);
  };
}
