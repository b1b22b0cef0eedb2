// Bull Board at /admin/queues: the queue of operations, its jobs named so that a person can read them, and that of scheduled work. In
// production it exists only behind ADMIN_TOKEN.
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { type Express, type RequestHandler, Router } from 'express';
import type { ApplyJob } from '../queue/jobs.js';
import { MAINTENANCE_QUEUE_NAME } from '../queue/maintenance.js';
import type { Producer } from '../queue/producer.js';

export const DASHBOARD_PATH = '/admin/queues';

const DESCRIPTION =
  'A job applies what is pending in one workspace up to its last operation. POST /api/sync/trigger tries all failed operations again, POST /api/sync/queue/:id/retry one.';

const MAINTENANCE_DESCRIPTION =
  'Scheduled work of the workers: compaction, once an interval. A run may be repeated at any time; a schedule that is removed comes back.';

/** The page asks a font service for its typeface; a self-hosted page calls nobody, and stands in nobody's frame. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/** For the page and for what stands in its place: refusals, redirects, errors. */
export const framesNobody: RequestHandler = (_request, response, next) => {
  response.set('Content-Security-Policy', CONTENT_SECURITY_POLICY);
  response.set('X-Frame-Options', 'DENY');
  next();
};

/**
 * The page finds everything by its <base>, which is a path from the root. Where a proxy takes a prefix away only the browser knows that path:
 * the page looks at its own address.
 */
const OWN_BASE = `<script>document.querySelector('base').setAttribute('href', location.pathname.split('${DASHBOARD_PATH}')[0] + '${DASHBOARD_PATH}/')</script>`;

/** Renders the page as before, with OWN_BASE behind its base. */
const renderUnderAnyPrefix: RequestHandler = (_request, response, next) => {
  const render = response.render.bind(response);
  response.render = (view: string, options?: object) => {
    render(view, options, (error, html) => {
      if (error) next(error);
      else response.send(html.replace(/<base [^>]*>/, (base) => `${base}${OWN_BASE}`));
    });
  };
  next();
};

/** The dashboard's routes, to be mounted at DASHBOARD_PATH. */
export function createDashboard(producer: Producer): Router {
  const serverAdapter = new ExpressAdapter();
  serverAdapter.setBasePath(DASHBOARD_PATH);
  const board = createBullBoard({
    queues: queuesOf(producer),
    serverAdapter,
    options: { uiConfig: { boardTitle: 'Task Sync', hideRedisDetails: producer.backend !== 'redis' } },
  });
  producer.onMove(() => board.replaceQueues(queuesOf(producer)));
  // An Express application of its own, with its own settings.
  const pages: Express = serverAdapter.getRouter();
  pages.disable('x-powered-by');
  return Router().use(renderUnderAnyPrefix, pages);
}

function queuesOf(producer: Producer) {
  // No retries from here: a failed job's operations are failed in PostgreSQL, and only trigger and retry give them fresh attempts.
  const queue = new BullMQAdapter(producer.queue, { description: DESCRIPTION, allowRetries: false });
  queue.setFormatter('name', describeJob);
  const description = MAINTENANCE_DESCRIPTION;
  return [queue, new BullMQAdapter(producer.lookAt(MAINTENANCE_QUEUE_NAME), { description })];
}

function describeJob({ data, attemptsMade = 0 }: { data: ApplyJob; attemptsMade?: number }): string {
  const { workspaceId, batchId, batches, part, parts, count, reason } = data;
  const whole = batches === undefined ? (reason ?? 'no batch') : `${batches.length} batches`;
  const what = batchId === undefined ? whole : `batch ${batchId}`;
  const piece = parts === undefined || parts === 1 ? '' : ` (part ${part} of ${parts})`;
  const attempts = `${attemptsMade} ${attemptsMade === 1 ? 'attempt' : 'attempts'}`;
  return `${what}${piece} · workspace ${workspaceId} · ${count} ${count === 1 ? 'operation' : 'operations'} · ${attempts}`;
}
