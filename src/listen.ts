// Opening and closing the HTTP server.
import type { Server } from 'node:http';

export interface Listening {
  /** The port that was taken; differs from the one asked for when that was 0. */
  port: number;
  /** Takes no new connection and resolves when the requests under way are answered. */
  close(): Promise<void>;
}

/** Starts listening. @throws EADDRINUSE and the like */
export function listen(server: Server, port: number, host: string): Promise<Listening> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : port,
        close: () => close(server),
      });
    });
  });
}

/** How often connections are looked at that were busy when the closing began and are idle now. */
const CLOSE_IDLE_EVERY_MS = 100;

function close(server: Server): Promise<void> {
  const timer = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
  return new Promise((resolve) => {
    server.close(() => {
      clearInterval(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
