// The Express application: middleware and routes in one place. It never listens; main.ts does.
import express, { type Express } from 'express';
import { createDashboard, DASHBOARD_PATH, framesNobody } from './dashboard.js';
import { requireUtf8Body } from './decoding.js';
import type { ApiDeps } from './deps.js';
import { adminOnly } from './middleware/adminOnly.js';
import { allowOrigins } from './middleware/allowOrigins.js';
import { checkBrowser } from './middleware/checkBrowser.js';
import { problemHandler, unknownAddress } from './middleware/problem.js';
import { refuseTooLarge } from './middleware/refuseTooLarge.js';
import { requestContext } from './middleware/requestContext.js';
import { shedLoad } from './middleware/shedLoad.js';
import { batchRoutes } from './routes/batches.js';
import { changeRoutes } from './routes/changes.js';
import { digestRoutes } from './routes/digest.js';
import { metricsRoutes } from './routes/metrics.js';
import { operationRoutes } from './routes/operations.js';
import { queueRoutes } from './routes/queue.js';
import { serviceRoutes } from './routes/service.js';
import { streamRoutes } from './routes/stream.js';
import { taskRoutes } from './routes/tasks.js';
import { socketRoutes } from './socket.js';

/** Builds the application on its dependencies. */
export function createApp(deps: ApiDeps): Express {
  const app = express();
  const answerProblem = problemHandler(deps);
  app.disable('x-powered-by');
  // An answer holds the state of this moment; hashing it for an ETag would cost more than sending it.
  app.disable('etag');
  app.use(requestContext(deps));
  app.use(checkBrowser(deps.browserAccess));
  const { corsOrigins } = deps.config.browsers;
  if (corsOrigins.length > 0) app.use('/api', allowOrigins(corsOrigins));
  // Before everything else: what is refused should cost as little as it can.
  app.use(shedLoad(deps.admission, deps.config.bodyLimitBytes, answerProblem));
  app.use(serviceRoutes(deps), metricsRoutes(deps));
  const verify = (_request: unknown, _response: unknown, bytes: Buffer, charset: string) =>
    requireUtf8Body(bytes, charset);
  const { bodyLimitBytes } = deps.config;
  app.use('/api', refuseTooLarge(bodyLimitBytes), express.json({ limit: bodyLimitBytes, verify }));
  app.use(taskRoutes(deps), batchRoutes(deps), queueRoutes(deps), operationRoutes(deps));
  app.use(changeRoutes(deps), digestRoutes(deps), streamRoutes(deps), socketRoutes());
  mountDashboard(app, deps);
  app.use(unknownAddress);
  app.use(answerProblem);
  return app;
}

function mountDashboard(app: Express, deps: ApiDeps) {
  const { adminToken, isProduction } = deps.config;
  app.use(DASHBOARD_PATH, framesNobody, adminOnly(deps.refuseStranger, DASHBOARD_PATH));
  if (adminToken !== undefined || !isProduction) app.use(DASHBOARD_PATH, createDashboard(deps.producer));
}
