// A request's id and its log line. The id comes from X-Request-Id if that is a plain one, and goes back in the answer.
import type { RequestHandler, Response } from 'express';
import type { Logger } from '../../logger.js';

const PLAIN_ID = /^[\w.-]{1,64}$/;

/** The id of the request that a response answers. */
export function requestIdOf(response: Response): string {
  return String(response.locals.requestId ?? '');
}

/** Gives each request an id and logs it when it is answered: method, path, status and ms; no query, no body. */
export function requestContext(logger: Logger, newId: () => string): RequestHandler {
  return (request, response, next) => {
    const given = request.get('x-request-id');
    const requestId = given !== undefined && PLAIN_ID.test(given) ? given : newId();
    const startedAt = performance.now();
    response.locals.requestId = requestId;
    response.set('X-Request-Id', requestId);
    response.on('close', () => {
      const status = response.writableFinished ? response.statusCode : 'aborted';
      const durationMs = Math.round((performance.now() - startedAt) * 10) / 10;
      const batchId: unknown = response.locals.batchId;
      const line = { requestId, method: request.method, path: request.path, status, durationMs };
      logger.info('request', batchId === undefined ? line : { ...line, batchId });
    });
    next();
  };
}
