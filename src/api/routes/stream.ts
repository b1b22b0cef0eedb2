// GET /api/sync/stream: the change feed as Server-Sent Events.
import { once } from 'node:events';
import { createSession, type Session } from 'better-sse';
import { type RequestHandler, type Response, Router } from 'express';
import Joi from 'joi';
import { describeError } from '../../logger.js';
import type { ApiDeps } from '../deps.js';
import { type EventSink, follow, openLiveFeed } from '../follow.js';
import { route } from '../middleware/methods.js';
import { requestIdOf } from '../middleware/requestContext.js';
import { readQuery, workspaceOf } from '../request.js';
import { abortOnEnd } from '../waiting.js';

const HEARTBEAT_MS = 15_000;
/** A client that takes nothing for this long is let go. */
const STUCK_AFTER_MS = 15_000;

const streamQuery = Joi.object<{ cursor?: string }>({ cursor: Joi.string().max(256) });

/** The routes of live streams. */
export function streamRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/sync/stream', { get: stream(deps) });
  return router;
}

const stream =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    response.once('close', deps.streams.open());
    // From the beginning: a client may go while its stream is being opened.
    const ending = abortOnEnd(response, deps.stopping);
    try {
      const cursor = request.get('last-event-id') || readQuery(request, streamQuery).cursor;
      const feed = await openLiveFeed(deps, workspaceOf(request), cursor);
      // Proxies of the nginx family would hold the events back.
      const headers = { 'X-Accel-Buffering': 'no' };
      const session = await createSession(request, response, { keepAlive: HEARTBEAT_MS, retry: 1_000, headers });
      await follow(deps, sinkOf(session, response), feed, ending.signal);
      response.end();
    } catch (error) {
      if (!response.headersSent) throw error;
      // The client comes back with its last cursor and loses nothing.
      deps.logger.warn('a stream ended', { requestId: requestIdOf(response), ...describeError(error) });
      response.end();
    } finally {
      ending.dispose();
    }
  };

function sinkOf(session: Session, response: Response): EventSink {
  return {
    send: (name, data, cursor) => void session.push(data, name, cursor),
    async drained(signal) {
      if (!response.writableNeedDrain) return true;
      try {
        await once(response, 'drain', { signal: AbortSignal.any([AbortSignal.timeout(STUCK_AFTER_MS), signal]) });
        return true;
      } catch {
        // Aborted: by the time limit, or by the end of the stream, which is no fault of the client's.
        return signal.aborted;
      }
    },
  };
}
