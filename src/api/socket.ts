// /api/sync/ws: the events of the stream over a WebSocket, and batches pushed over it. Each message is one JSON object with a `type`.
// From a client: {type: "push", ref, items, client_timestamp?}. To it: the events, {type: "result", ref, ...} with the body that HTTP
// would answer, and {type: "error", ref?, problem} with the problem that HTTP would answer.
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { ApiError, describeProblem, retryAfterS } from '../errors.js';
import { describeError } from '../logger.js';
import { DEFAULT_WORKSPACE_ID } from '../storage/models/workspace.js';
import { decodeUtf8 } from './decoding.js';
import type { ApiDeps } from './deps.js';
import { follow, openLiveFeed } from './follow.js';
import { toApiError } from './problem.js';
import { awaitBatch, readEnvelope, storeBatch } from './pushBatch.js';
import { invalidRequest } from './request.js';
import { createSocketSink, keepAlive, type SocketSink } from './socketSink.js';

const SOCKET_PATH = '/api/sync/ws';
const BASE = 'http://localhost';

/** Batches of one socket that are under way at once; one more is refused, and can be sent again. */
const PUSHES_MAX = 8;
const REF_MAX_CHARS = 128;
/** How long a peer may take to close before it is cut. */
const CLOSE_LIMIT_MS = 2_000;

/** Takes upgrades of an HTTP server to SOCKET_PATH. @returns closes all sockets */
export function serveSockets(server: Server, deps: ApiDeps): () => Promise<void> {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: deps.config.bodyLimitBytes });
  server.on('upgrade', (request: IncomingMessage, connection: Duplex, head: Buffer) => {
    // Node takes its own listener off an upgraded connection: without one a reset would end the process.
    connection.on('error', () => connection.destroy());
    const address = URL.canParse(request.url ?? '/', BASE) ? new URL(request.url ?? '/', BASE) : undefined;
    const refused = refusal(deps, request, address);
    if (refused !== undefined || address === undefined) {
      connection.end(`HTTP/1.1 ${refused}\r\nConnection: close\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, connection, head, (socket) => {
      void serve(deps, socket, address.searchParams.get('cursor') ?? undefined);
    });
  });
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

/** A page of another origin may open a socket without asking (there is no CORS for them), so its origin is looked at here. */
function refusal(deps: ApiDeps, request: IncomingMessage, address: URL | undefined): string | undefined {
  if (address === undefined) return '400 Bad Request';
  if (address.pathname !== SOCKET_PATH) return '404 Not Found';
  if (deps.stopping.aborted) return '503 Service Unavailable';
  const { origin, host } = request.headers;
  const allowed = deps.config.corsOrigins;
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return undefined;
  return URL.canParse(origin) && new URL(origin).host === host ? undefined : '403 Forbidden';
}

async function serve(deps: ApiDeps, socket: WebSocket, cursor: string | undefined): Promise<void> {
  const controller = new AbortController();
  const end = () => controller.abort();
  const sink = createSocketSink(socket);
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
    const feed = await openLiveFeed(deps, DEFAULT_WORKSPACE_ID, cursor);
    await follow(deps, sink, feed, controller.signal);
    socket.close(deps.stopping.aborted ? 1001 : 1013);
  } catch (error) {
    sendError(error);
    socket.close(error instanceof ApiError && error.code !== 'unavailable' ? 1008 : 1013);
  } finally {
    release();
    stopPings();
    deps.stopping.removeEventListener('abort', end);
  }
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
      const text = decodeUtf8(bytesOf(data), 'message');
      const message = parseMessage(text);
      ref = readRef(message);
      if (underWay > PUSHES_MAX)
        throw new ApiError('unavailable', `At most ${PUSHES_MAX} batches of a socket may be under way.`);
      if (!('type' in message) || message.type !== 'push') {
        throw invalidRequest([{ field: 'type', message: 'type must be push' }]);
      }
      deps.admission.checkLoad(text.length);
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

/** ws checks the text of text messages, and closes with 1007; what is binary it hands over as it came. */
function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}

/** What the client calls its push. It is echoed, so it has to be short and flat. @throws ApiError invalid_request */
function readRef(message: object): string | number | undefined {
  const ref: unknown = 'ref' in message ? message.ref : undefined;
  if (ref === undefined || typeof ref === 'number') return ref;
  if (typeof ref === 'string' && ref.length <= REF_MAX_CHARS) return ref;
  throw invalidRequest([
    { field: 'ref', message: `ref must be a number or a string of at most ${REF_MAX_CHARS} characters` },
  ]);
}

/** @throws ApiError invalid_json */
function parseMessage(text: string): object {
  try {
    const message: unknown = JSON.parse(text);
    if (typeof message === 'object' && message !== null) return message;
  } catch {
    // Not JSON: the same answer as for JSON that is no object.
  }
  throw new ApiError('invalid_json', 'A message must be one JSON object.');
}
