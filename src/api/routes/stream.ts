// GET /api/sync/stream: the change feed as Server-Sent Events.
import { createSession, type Session } from 'better-sse';
import { type Request, type RequestHandler, type Response, Router } from 'express';
import Joi from 'joi';
import { describeError } from '../../logger.js';
import { taken } from '../answers.js';
import type { ApiDeps } from '../deps.js';
import { cursorOf, type Feed } from '../feed.js';
import { type EventSink, follow, openLiveFeed } from '../follow.js';
import { route } from '../middleware/methods.js';
import { requestIdOf } from '../middleware/requestContext.js';
import { readQuery } from '../query.js';
import { invalidRequest, workspaceOf } from '../request.js';
import { abortOnEnd } from '../waiting.js';

const HEARTBEAT_MS = 15_000;
/** A client that takes nothing for this long is let go. */
const STUCK_AFTER_MS = 15_000;
const LAST_EVENT_NAMES = ['lastEventId', 'last_event_id', 'Last-Event-ID'] as const;
/** What the rest of an ended stream may take to leave. */
const END_LIMIT_MS = 1_000;

const cursorRule = Joi.string().max(256);
/** Polyfills of EventSource that cannot set the header name the last event in the query, at first perhaps with nothing in it. */
const lastEventRule = cursorRule.allow('');

export const streamQuery = Joi.object<Partial<Record<'cursor' | (typeof LAST_EVENT_NAMES)[number], string>>>({
  cursor: cursorRule,
  lastEventId: lastEventRule,
  last_event_id: lastEventRule,
  'Last-Event-ID': lastEventRule,
});

/** The routes of live streams. */
export function streamRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/sync/stream', { get: stream(deps) }, { get: streamQuery });
  return router;
}

const stream =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    if (request.method === 'HEAD') return answerHead(deps, request, response);
    response.once('close', deps.streams.open('sse'));
    // From the beginning: a client may go while its stream is being opened.
    const ending = abortOnEnd(response, deps.stopping);
    try {
      requireAddress(request);
      const feed = await openLiveFeed(deps, workspaceOf(request), readStart(request));
      const headers = headersOf(feed);
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

/** The headers of a stream at its place, and nothing else: whoever asks for no body must not keep a stream open. */
async function answerHead(deps: ApiDeps, request: Request, response: Response) {
  const feed = await openLiveFeed(deps, workspaceOf(request), readStart(request));
  // Not with set(), which adds a charset: the type is that of the stream itself.
  response.setHeader('Content-Type', 'text/event-stream');
  response.set({ ...headersOf(feed), 'Cache-Control': 'no-cache' }).end();
}

/** Proxies of the nginx family would hold the events back. */
const headersOf = (feed: Feed) => ({ 'X-Accel-Buffering': 'no', 'Sync-Cursor': cursorOf(feed) });

/** Where a stream begins. What an EventSource says it saw last is younger than the cursor in an address that never changes. */
function readStart(request: Request): string | undefined {
  const query = readQuery(request, streamQuery);
  const seen = [request.get('last-event-id'), ...LAST_EVENT_NAMES.map((name) => query[name])];
  return seen.find((cursor) => cursor !== undefined && cursor !== '') ?? query.cursor;
}

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
    drained: (signal) => (response.writableNeedDrain ? taken(response, STUCK_AFTER_MS, signal) : Promise.resolve(true)),
  };
}
