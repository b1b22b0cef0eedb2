// GET /api/sync/stream: the change feed as Server-Sent Events.
import { createSession, type Session } from 'better-sse';
import { type Request, type RequestHandler, type Response, Router } from 'express';
import Joi from 'joi';
import { describeError } from '../../logger.js';
import type { ApiDeps } from '../deps.js';
import { cursorOf } from '../feed.js';
import { type EventSink, follow, openLiveFeed } from '../follow.js';
import { route } from '../middleware/methods.js';
import { requestIdOf } from '../middleware/requestContext.js';
import { invalidRequest, readQuery, workspaceOf } from '../request.js';
import { abortOnEnd } from '../waiting.js';

const HEARTBEAT_MS = 15_000;
/** A client that takes nothing for this long is let go. */
const STUCK_AFTER_MS = 15_000;
/** What the rest of an ended stream may take to leave. */
const END_LIMIT_MS = 1_000;

export const streamQuery = Joi.object<{ cursor?: string }>({ cursor: Joi.string().max(256) });

/** The routes of live streams. */
export function streamRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/sync/stream', { get: stream(deps) });
  return router;
}

const stream =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    response.once('close', deps.streams.open('sse'));
    // From the beginning: a client may go while its stream is being opened.
    const ending = abortOnEnd(response, deps.stopping);
    try {
      requireAddress(request);
      const cursor = request.get('last-event-id') || readQuery(request, streamQuery).cursor;
      const feed = await openLiveFeed(deps, workspaceOf(request), cursor);
      // Proxies of the nginx family would hold the events back.
      const headers = { 'X-Accel-Buffering': 'no', 'Sync-Cursor': cursorOf(feed) };
      const session = await createSession(request, response, { keepAlive: HEARTBEAT_MS, retry: 1_000, headers });
      response.on('error', (error) => deps.logger.debug('a stream failed', describeError(error)));
      await follow(deps, sinkOf(session, response), feed, ending.signal);
      letGo(response);
    } catch (error) {
      if (!response.headersSent) throw error;
      // The client comes back with its last cursor and loses nothing.
      deps.logger.warn('a stream ended', { requestId: requestIdOf(response), ...describeError(error) });
      letGo(response);
    } finally {
      ending.dispose();
    }
  };

/**
 * better-sse makes a URL of the Host header and the address, and throws where they make none.
 * @throws ApiError invalid_request, which is what RFC 9112, 3.2, wants for a Host that is not valid
 */
function requireAddress(request: Request) {
  if (URL.canParse(request.url, `http://${request.get('host') ?? 'localhost'}`)) return;
  throw invalidRequest([{ field: 'host', message: 'the Host header and the address of the request make no URL' }]);
}

/** Ends a stream; one whose client takes nothing would never end by itself, and keep its place. */
function letGo(response: Response) {
  response.end();
  const timer = setTimeout(() => response.destroy(), END_LIMIT_MS);
  response.once('close', () => clearTimeout(timer));
}

function sinkOf(session: Session, response: Response): EventSink {
  return {
    send: (name, data, cursor) => void session.push(data, name, cursor),
    drained(signal) {
      if (!response.writableNeedDrain) return Promise.resolve(true);
      // By hand: AbortSignal.any() over AbortSignal.timeout() may be collected as garbage before it fires.
      return new Promise((resolve) => {
        const settle = (isTaken: boolean) => () => {
          clearTimeout(timer);
          response.off('drain', taken);
          signal.removeEventListener('abort', ended);
          resolve(isTaken);
        };
        const taken = settle(true);
        // The end of the stream is no fault of the client's.
        const ended = settle(true);
        const timer = setTimeout(settle(false), STUCK_AFTER_MS);
        response.once('drain', taken);
        signal.addEventListener('abort', ended);
        if (signal.aborted) ended();
      });
    },
  };
}
