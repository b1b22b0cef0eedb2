// A request's id and its log line. The id comes from X-Request-Id if that is a plain one, and goes back in the answer.
import type { Request, RequestHandler, Response } from 'express';
import { clientAddress } from '../../clientAddress.js';
import { DASHBOARD_PATH } from '../dashboard.js';
import type { ApiDeps } from '../deps.js';

/** Asked every few seconds, by machines; what they hear that is not good is logged like everything else. */
const CHECKS = new Set(['/health', '/health/live', '/health/ready', '/metrics']);
const STREAM_PATH = '/api/sync/stream';
const PLAIN_ID = /^[\w.-]{1,64}$/;

/** The id of the request that a response answers. */
export function requestIdOf(response: Response): string {
  return String(response.locals.requestId ?? '');
}

/** Gives each request an id, logs it when it is answered (who, method, path, status and ms; no query, no body), and measures it. */
export function requestContext({ logger, newId, metrics, config }: ApiDeps): RequestHandler {
  return (request, response, next) => {
    const given = request.get('x-request-id');
    const requestId = given !== undefined && PLAIN_ID.test(given) ? given : newId();
    const startedAt = performance.now();
    response.locals.requestId = requestId;
    // Asked now: a socket that is gone has none.
    const address = clientAddress(request, config.trustedProxies);
    response.set('X-Request-Id', requestId);
    let isSent = false;
    response.once('finish', () => {
      // Node says so as well of an answer whose connection was cut before all of it was taken.
      isSent = !request.socket.destroyed;
    });
    response.on('close', () => {
      const status = isSent ? response.statusCode : 'aborted';
      const elapsedMs = performance.now() - startedAt;
      const durationMs = Math.round(elapsedMs * 10) / 10;
      const route = templateOf(request);
      // How long a stream lives says nothing about how fast it was answered.
      if (route !== STREAM_PATH) metrics.served({ method: request.method, route, status: String(status) }, elapsedMs);
      const { batchId, clientId }: { batchId?: string; clientId?: string } = response.locals;
      const line = { requestId, address, method: request.method, path: request.path, status, durationMs };
      // What was refused under an overload is counted: thousands of lines a second would be a good part of what a refusal costs.
      const isCheck = CHECKS.has(route) && response.statusCode < 400;
      const level = response.locals.isShed === true || isCheck ? 'debug' : 'info';
      // Asked first: winston formats a line before it finds that nobody wants it, a tenth of a refusal.
      if (!logger.isLevelEnabled(level)) return;
      logger.log(level, 'request', batchId === undefined ? line : { ...line, batchId, ...(clientId && { clientId }) });
    });
    next();
  };
}

/**
 * The address as the routes know it, like /api/tasks/:id: there are as many as routes, however many addresses are asked for. What was
 * refused before its route was found is `unmatched`.
 */
function templateOf(request: Request): string {
  if (request.originalUrl.startsWith(DASHBOARD_PATH)) return DASHBOARD_PATH;
  const path: unknown = request.route?.path;
  return typeof path === 'string' ? path : 'unmatched';
}
