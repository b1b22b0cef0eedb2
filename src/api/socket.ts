// /api/sync/ws: the events of the stream over a WebSocket, and batches pushed over it. Each message is one JSON object with a `type`.
// From a client: {type: "push", ref, items, client_timestamp?}. To it: the events, {type: "result", ref, ...} with the body that HTTP
// would answer, and {type: "error", ref?, problem} with the problem that HTTP would answer.
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RequestHandler, Router } from 'express';
import Joi from 'joi';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { clientAddress } from '../clientAddress.js';
import { ApiError, describeProblem, ERROR_KINDS, retryAfterS } from '../errors.js';
import { describeError } from '../logger.js';
import { DEFAULT_WORKSPACE_ID } from '../storage/models/workspace.js';
import type { ApiDeps } from './deps.js';
import { follow, openLiveFeed } from './follow.js';
import { route } from './middleware/methods.js';
import { toApiError } from './problem.js';
import { problemText } from './problemText.js';
import { awaitBatch, readEnvelope, storeBatch } from './pushBatch.js';
import { namesOf, readQuery, requireKnown } from './query.js';
import { invalidRequest } from './request.js';
import { parseMessage, readRef } from './socketMessage.js';
import { createSocketSink, keepAlive, type SocketSink } from './socketSink.js';

const SOCKET_PATH = '/api/sync/ws';
export const socketQuery = Joi.object<{ cursor?: string }>({ cursor: Joi.string().max(256) });
const SOCKET_QUERY_NAMES = namesOf(socketQuery);
/** The host of an address does not matter here. */
const BASE = 'http://localhost';

/** Batches of one socket that are under way at once; one more is refused, and can be sent again. */
const PUSHES_MAX = 8;
/** How long a peer may take to close before it is cut. */
const CLOSE_LIMIT_MS = 2_000;

/** Takes upgrades of an HTTP server to SOCKET_PATH. @returns closes all sockets */
export function serveSockets(server: Server, deps: ApiDeps): () => Promise<void> {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: deps.config.bodyLimitBytes });
  sockets.on('wsClientError', ({ message }: Error, connection: Duplex, request: IncomingMessage) => {
    const headers = { 'Sec-WebSocket-Version': '13' };
    const error = new ApiError('invalid_request', `This is no WebSocket handshake: ${message}.`, { headers });
    refuse(connection, request, error);
  });
  server.on('upgrade', (request: IncomingMessage, connection: Duplex, head: Buffer) => {
    // Node takes its own listener off an upgraded connection: without one a reset would end the process.
    connection.on('error', () => connection.destroy());
    try {
      const { search } = readAddress(deps, request);
      sockets.handleUpgrade(request, connection, head, (socket) => {
        logEnd(deps, socket, request);
        void serve(deps, socket, search);
      });
    } catch (error) {
      refuse(connection, request, toApiError(error, deps.config.bodyLimitBytes));
    }
  });

  function refuse(connection: Duplex, request: IncomingMessage, error: ApiError) {
    const requestId = deps.newId();
    const address = clientAddress(request, deps.config.trustedProxies);
    deps.logger.info('an upgrade was refused', { requestId, address, code: error.code, detail: error.detail });
    connection.end(problemText(error, requestId, retryAfterS(error.code, deps.random())));
  }

  return () =>
    new Promise((resolve) => {
      for (const socket of sockets.clients) socket.close(1001, 'the server stops');
      const timer = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, CLOSE_LIMIT_MS);
      sockets.close(() => {
        clearTimeout(timer);
        resolve();
      });
    });
}

/**
 * The address of an upgrade that may go on. A page of another origin may open a socket without asking (there is no CORS for them) and push
 * over it: it counts as a write.
 * @throws ApiError
 */
function readAddress(deps: ApiDeps, request: IncomingMessage): URL {
  const refusal = deps.browserAccess.refuse(request, true);
  if (refusal !== undefined) throw refusal;
  const target = request.url ?? '/';
  if (!URL.canParse(target, BASE)) {
    throw invalidRequest([{ field: 'address', message: 'the address of the request makes no URL' }]);
  }
  const address = new URL(target, BASE);
  // As Express compares addresses.
  if (address.pathname.replace(/\/$/, '').toLowerCase() !== SOCKET_PATH) {
    throw new ApiError('not_found', `There is no WebSocket at ${address.pathname}; it is at ${SOCKET_PATH}.`);
  }
  if (deps.stopping.aborted) throw new ApiError('unavailable', 'This server is stopping; connect again.');
  return address;
}

/** The same address without an upgrade. */
export function socketRoutes(): Router {
  const router = Router();
  route(router, SOCKET_PATH, { get: requireUpgrade }, { get: socketQuery });
  return router;
}

const requireUpgrade: RequestHandler = (_request, response) => {
  const headers = { Upgrade: 'websocket', Connection: [response.get('Connection') ?? [], 'Upgrade'].flat().join(', ') };
  throw new ApiError(
    'upgrade_required',
    'This is the address of a WebSocket, and the request did not ask for one. If your client did, a proxy in front took the headers Upgrade and Connection away: it must speak HTTP/1.1 to this server and pass them on.',
    { headers },
  );
};

/** One line for each socket, as for each request. */
function logEnd({ logger, config }: ApiDeps, socket: WebSocket, request: IncomingMessage) {
  const openedAt = performance.now();
  const address = clientAddress(request, config.trustedProxies);
  socket.once('close', (code) => {
    const durationMs = Math.round(performance.now() - openedAt);
    logger.info('socket', { address, path: SOCKET_PATH, code, durationMs });
  });
}

async function serve(deps: ApiDeps, socket: WebSocket, query: string): Promise<void> {
  const controller = new AbortController();
  const end = () => controller.abort();
  const sink = createSocketSink(socket, deps.answers.hold);
  const sendError = (error: unknown, ref?: unknown) => {
    const known = toApiError(error, deps.config.bodyLimitBytes);
    const problem = describeProblem(known, deps.newId(), retryAfterS(known.code, deps.random()));
    sink.sendMessage({ type: 'error', ...(ref === undefined ? {} : { ref }), problem });
  };
  socket.on('error', (error) => deps.logger.debug('a socket failed', describeError(error)));
  socket.once('close', end);
  deps.stopping.addEventListener('abort', end);
  const stopPings = keepAlive(socket);
  let release = () => {};
  try {
    release = deps.streams.open('websocket');
    takePushes(deps, socket, sink, controller.signal, sendError);
    const { cursor } = readSocketQuery(query);
    const feed = await openLiveFeed(deps, DEFAULT_WORKSPACE_ID, cursor);
    const ended = await follow(deps, sink, feed, controller.signal);
    // 1008 says to bootstrap, as it does for a cursor that cannot be continued.
    const isOver = ended === 'compacted' || ended === 'restored';
    socket.close(deps.stopping.aborted ? 1001 : isOver ? 1008 : 1013);
  } catch (error) {
    sendError(error);
    // What may succeed later is tried again, with the same cursor.
    socket.close(error instanceof ApiError && !ERROR_KINDS[error.code].isRetryable ? 1008 : 1013);
  } finally {
    release();
    stopPings();
    deps.stopping.removeEventListener('abort', end);
  }
}

/** Like the query of a route. @throws ApiError invalid_request */
function readSocketQuery(search: string) {
  requireKnown(search, SOCKET_QUERY_NAMES);
  return readQuery({ url: search }, socketQuery);
}

function takePushes(
  deps: ApiDeps,
  socket: WebSocket,
  sink: SocketSink,
  signal: AbortSignal,
  sendError: (error: unknown, ref?: unknown) => void,
) {
  let underWay = 0;
  let lastStored: Promise<unknown> = Promise.resolve();
  socket.on('message', async (data: RawData) => {
    let ref: unknown;
    underWay += 1;
    try {
      const { message, chars } = parseMessage(data);
      ref = readRef(message);
      if (underWay > PUSHES_MAX)
        throw new ApiError('unavailable', `At most ${PUSHES_MAX} batches of a socket may be under way.`);
      if (!('type' in message) || message.type !== 'push') {
        throw invalidRequest([{ field: 'type', message: 'type must be push' }]);
      }
      deps.admission.checkLoad(chars);
      const envelope = readEnvelope(deps, message);
      const wait = { waitMs: deps.config.sync.waitMs, signal };
      // One after the other: a device's batches are accepted in the order in which it sent them.
      const store = () => storeBatch(deps, DEFAULT_WORKSPACE_ID, deps.newId(), envelope, wait.waitMs > 0);
      const storing = lastStored.then(store);
      lastStored = storing.catch(() => undefined);
      const body = await awaitBatch(deps, DEFAULT_WORKSPACE_ID, await storing, wait);
      sink.sendMessage({ type: 'result', ref, ...body });
    } catch (error) {
      sendError(error, ref);
    } finally {
      underWay -= 1;
      await sink.throttle(signal);
    }
  });
}
