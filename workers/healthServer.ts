// The worker's health checks for container platforms: /health/live while the process answers, /health/ready while it can work.
import { createServer } from 'node:http';
import { listen } from '../src/listen.js';
import type { Database } from '../src/storage/database.js';
import { isMigrated } from '../src/storage/migrate.js';

/** Starts listening. @throws EADDRINUSE and the like */
export function startHealthServer(deps: { database: Database; host: string; port: number }) {
  const server = createServer((request, response) => {
    const answer = (status: number, state: string) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ status: state }));
    if (request.url === '/health/live') answer(200, 'ok');
    else if (request.url !== '/health/ready') answer(404, 'unknown address');
    else {
      isMigrated(deps.database).then(
        (ready) => answer(ready ? 200 : 503, ready ? 'ok' : 'not migrated'),
        () => answer(503, 'database down'),
      );
    }
  });
  return listen(server, deps.port, deps.host);
}
