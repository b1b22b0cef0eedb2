// Requests that never become one: that cannot be parsed, or that are late. Each gets the problem that any other failure gets, and its
// connection is closed. Node closes all that are late in the same moment in one turn of the event loop, some 200 us each: 2,000 slow clients
// that had come together held everybody else up for a quarter of a second. Here they are closed a few at a time.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApiError, retryAfterS } from '../errors.js';
import { problemText } from './problemText.js';

/** The code of Node's error for a request that is not whole in time; slow bodies are given it as well. */
export const LATE = 'ERR_HTTP_REQUEST_TIMEOUT';
const LATE_PROBLEM = new ApiError(
  'request_timeout',
  'The request did not come in time; what came of it was thrown away. Send it again, in smaller batches where the line is slow.',
);
const PROBLEMS: Readonly<Record<string, ApiError>> = {
  [LATE]: LATE_PROBLEM,
  HPE_HEADER_OVERFLOW: new ApiError('headers_too_large', 'The headers of a request may take 16 KiB together.'),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: new ApiError('too_large', 'The chunk extensions of the body are too long.'),
};
const NOT_HTTP = new ApiError('invalid_request', 'What was sent is not a request of HTTP/1.1.');
/** A thousand a second: a fifth of the event loop's time. */
const CLOSED_AT_ONCE = 5;
const CLOSE_EVERY_MS = 5;

/** Answers what is broken on this server, and closes its connections. @param deps.random a number in [0, 1) */
export function closeBrokenRequests(server: Server, deps: { newId: () => string; random: () => number }): void {
  const answers = new WeakMap<Duplex, ServerResponse>();
  const late: (() => void)[] = [];

  server.on('request', (request: IncomingMessage, response) => answers.set(request.socket, response));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const close = () => {
      const answer = answers.get(socket);
      // Never into the middle of an answer.
      const isFree = answer === undefined || !answer.headersSent || answer.writableFinished;
      if (socket.writable && isFree) socket.write(answerOf(PROBLEMS[error.code ?? ''] ?? NOT_HTTP, answer));
      socket.destroy(error);
    };
    if (error.code !== LATE) close();
    else if (late.push(close) === 1) setTimeout(closeSome, CLOSE_EVERY_MS);
  });

  function closeSome() {
    for (const close of late.splice(0, CLOSED_AT_ONCE)) close();
    if (late.length > 0) setTimeout(closeSome, CLOSE_EVERY_MS);
  }

  /** @param begun the answer that the application has begun, whose headers let a browser see this one */
  function answerOf(problem: ApiError, begun: ServerResponse | undefined): string {
    const headers = begun === undefined || begun.headersSent ? {} : begun.getHeaders();
    const requestId = String(headers['x-request-id'] ?? deps.newId());
    return problemText(problem, requestId, retryAfterS(problem.code, deps.random()), headers);
  }
}
