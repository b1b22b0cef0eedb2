// GET /metrics: what Prometheus scrapes, for operators only. It is never shed, and answers while PostgreSQL and Redis are down.
import { type RequestHandler, Router } from 'express';
import type { ApiDeps } from '../deps.js';
import { adminOnly } from '../middleware/adminOnly.js';
import { route } from '../middleware/methods.js';

const METRICS_PATH = '/metrics';

/** The route of the metrics. */
export function metricsRoutes(deps: ApiDeps): Router {
  const router = Router();
  router.use(METRICS_PATH, adminOnly(deps.refuseStranger, METRICS_PATH));
  route(router, METRICS_PATH, { get: metrics(deps) });
  return router;
}

const metrics =
  (deps: ApiDeps): RequestHandler =>
  async (_request, response) => {
    const { contentType, text } = await deps.metrics.scrape();
    response.type(contentType).send(text);
  };
