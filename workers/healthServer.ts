// The worker's HTTP server: /health/live while the process answers and /health/ready while it can work, for container platforms, and
// /metrics for Prometheus, protected like the api's.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { RefuseStranger } from '../src/adminAccess.js';
import { type BrowserAccess, isWriteMethod } from '../src/browserAccess.js';
import { type ApiError, describeProblem, ERROR_KINDS } from '../src/errors.js';
import { type Listening, listen } from '../src/listen.js';
import { describeError, type Logger } from '../src/logger.js';
import type { ProcessMetrics } from '../src/metrics/processMetrics.js';
import type { Database } from '../src/storage/database.js';
import { isMigrated } from '../src/storage/migrate.js';

export interface HealthServerDeps {
  database: Database;
  metrics: ProcessMetrics;
  logger: Logger;
  newId: () => string;
  refuseStranger: RefuseStranger;
  browserAccess: BrowserAccess;
  host: string;
  port: number;
}

/** Starts listening. @throws EADDRINUSE and the like */
export function startHealthServer(deps: HealthServerDeps): Promise<Listening> {
  const server = createServer((request, response) => {
    const answer = (status: number, state: string) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ status: state }));
    const path = request.url?.split('?')[0];
    const refusal = deps.browserAccess.refuse(request, isWriteMethod(request.method));
    if (refusal !== undefined) refuse(response, refusal, deps.newId());
    else if (path === '/health/live') answer(200, 'ok');
    else if (path === '/metrics') void answerMetrics(deps, request, response);
    else if (path !== '/health/ready') answer(404, 'unknown address');
    else {
      isMigrated(deps.database).then(
        (ready) => answer(ready ? 200 : 503, ready ? 'ok' : 'not migrated'),
        () => answer(503, 'database down'),
      );
    }
  });
  return listen(server, deps.port, deps.host);
}

async function answerMetrics(deps: HealthServerDeps, request: IncomingMessage, response: ServerResponse) {
  const refusal = deps.refuseStranger(request, '/metrics');
  if (refusal !== undefined) return refuse(response, refusal, deps.newId());
  try {
    const { contentType, text } = await deps.metrics.scrape();
    response.writeHead(200, { 'content-type': contentType }).end(text);
  } catch (error) {
    deps.logger.error('the metrics could not be shown', describeError(error));
    response.writeHead(500).end();
  }
}

function refuse(response: ServerResponse, refusal: ApiError, requestId: string) {
  response
    .writeHead(ERROR_KINDS[refusal.code].status, {
      'content-type': 'application/problem+json',
      'x-request-id': requestId,
      ...refusal.extra.headers,
    })
    .end(JSON.stringify(describeProblem(refusal, requestId)));
}
