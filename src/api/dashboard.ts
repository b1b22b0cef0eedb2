// Bull Board at /admin/queues: the real queue, with batches named so that a person can read them. In production it exists only
// behind ADMIN_TOKEN.
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import type { Router } from 'express';
import type { Producer } from '../queue/producer.js';

export const DASHBOARD_PATH = '/admin/queues';

/** The dashboard's routes, to be mounted at DASHBOARD_PATH. */
export function createDashboard(producer: Producer): Router {
  const serverAdapter = new ExpressAdapter();
  serverAdapter.setBasePath(DASHBOARD_PATH);
  createBullBoard({
    queues: [new BullMQAdapter(producer.queue)],
    serverAdapter,
    options: { uiConfig: { boardTitle: 'Task Sync' } },
  });
  return serverAdapter.getRouter();
}
