// Requests that never become one: that cannot be parsed, or that are late. Node closes all that are late in the same moment in one turn of the
// event loop, some 200 us each: 2,000 slow clients that had come together held everybody else up for a quarter of a second. Here they
// are closed a few at a time. Everything else is answered as Node does it.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const LATE = 'ERR_HTTP_REQUEST_TIMEOUT';
const STATUSES: Readonly<Record<string, string>> = {
  [LATE]: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
};
/** A thousand a second: a fifth of the event loop's time. */
const CLOSED_AT_ONCE = 5;
const CLOSE_EVERY_MS = 5;

/** Answers what is broken on this server, and closes its connections. */
export function closeBrokenRequests(server: Server): void {
  const answers = new WeakMap<Duplex, ServerResponse>();
  const late: (() => void)[] = [];

  server.on('request', (request: IncomingMessage, response) => answers.set(request.socket, response));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const close = () => {
      const answer = answers.get(socket);
      // Never into the middle of an answer.
      const isFree = answer === undefined || !answer.headersSent || answer.writableFinished;
      const status = STATUSES[error.code ?? ''] ?? '400 Bad Request';
      if (socket.writable && isFree) socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
      socket.destroy(error);
    };
    if (error.code !== LATE) close();
    else if (late.push(close) === 1) setTimeout(closeSome, CLOSE_EVERY_MS);
  });

  function closeSome() {
    for (const close of late.splice(0, CLOSED_AT_ONCE)) close();
    if (late.length > 0) setTimeout(closeSome, CLOSE_EVERY_MS);
  }
}
