// Opening and closing the HTTP server.
import type { Server } from 'node:http';

export interface Listening {
  /** The port that was taken; differs from the one asked for when that was 0. */
  port: number;
  /** From now on each answer closes its connection, so that clients go elsewhere with their next request; it is served as before. */
  drain(): void;
  /** Takes no new connection and resolves when the requests under way are answered. */
  close(): Promise<void>;
}

/** How often a closing server looks whether its requests are answered. */
const LOOK_EVERY_MS = 50;
/** How long a client may take to read its last answer from a server that stops. */
const ANSWER_LIMIT_MS = 5_000;

/** Starts listening. @throws EADDRINUSE and the like */
export function listen(server: Server, port: number, host: string): Promise<Listening> {
  let underWay = 0;
  let isDraining = false;
  // Before the application's own listener, which may have sent the headers when it returns.
  server.prependListener('request', (_request, response) => {
    underWay += 1;
    if (isDraining) response.setHeader('Connection', 'close');
    response.once('close', () => {
      underWay -= 1;
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : port,
        drain: () => {
          isDraining = true;
        },
        close: () => close(server, () => underWay === 0),
      });
    });
  });
}

function close(server: Server, isAnswered: () => boolean): Promise<void> {
  const deadline = performance.now() + ANSWER_LIMIT_MS;
  return new Promise((resolve) => {
    const cutIdle = () => {
      // Not closeIdleConnections(): it leaves those alone that have not sent a request yet, and they may stay for seconds.
      if (isAnswered() || performance.now() > deadline) server.closeAllConnections();
    };
    const timer = setInterval(cutIdle, LOOK_EVERY_MS);
    server.close(() => {
      clearInterval(timer);
      resolve();
    });
    cutIdle();
  });
}
