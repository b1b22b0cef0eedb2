// /api/sync/status, /queue and /trigger: what waits, what failed, and trying it again.
import { type RequestHandler, Router } from 'express';
import Joi from 'joi';
import { QueueUnavailable } from '../../queue/producer.js';
import type { QueueStatus } from '../../storage/models/syncQueueItem.js';
import { readOperationsById, readTaskViews } from '../../storage/readBatch.js';
import { countQueue, listQueue, requeue } from '../../storage/readQueue.js';
import { toMicros } from '../../sync/timestamp.js';
import type { ApiDeps } from '../deps.js';
import { route } from '../middleware/methods.js';
import { presentOutcome, presentQueueItem } from '../present.js';
import { decodeCursor, encodeCursor, limitRule, linkNext, readQuery, workspaceOf } from '../request.js';
import { abortOnEnd, readWaitMs, waitUntil } from '../waiting.js';

/** An operation that waits longer than this was met neither by its job nor by the reconciler. */
const STALLED_AFTER_S = 30;

const queueQuery = Joi.object<{ status: QueueStatus; limit: number; cursor?: string }>({
  status: Joi.valid('pending', 'failed', 'synced').default('pending'),
  limit: limitRule,
  cursor: Joi.string(),
});

/** The routes of the queue. */
export function queueRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/sync/status', { get: status(deps) });
  route(router, '/api/sync/queue', { get: list(deps) });
  route(router, '/api/sync/trigger', { post: trigger(deps) });
  return router;
}

const status =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const [counts, queue] = await Promise.all([countQueue(deps.database, workspaceOf(request)), readDepths(deps)]);
    const { pending, failed, synced, lastSyncedAt, oldestPendingAt } = counts;
    const oldestPendingS = oldestPendingAt === null ? null : secondsSince(oldestPendingAt, deps.clock.nowMicros());
    response.json({
      pending,
      failed,
      synced,
      total: pending + failed + synced,
      last_synced_at: lastSyncedAt,
      oldest_pending_s: oldestPendingS,
      stalled: oldestPendingS !== null && oldestPendingS > STALLED_AFTER_S,
      queue,
    });
  };

/** null where the queue does not answer: the operations are counted in PostgreSQL all the same. */
async function readDepths(deps: ApiDeps) {
  const { backend } = deps.producer;
  try {
    return { backend, ...(await deps.producer.depths()) };
  } catch (error) {
    if (!(error instanceof QueueUnavailable)) throw error;
    return { backend, waiting: null, active: null, delayed: null, failed: null };
  }
}

function secondsSince(time: string, nowMicros: bigint): number {
  return Math.max(0, Number((nowMicros - toMicros(time)) / 1_000n) / 1_000);
}

const list =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const query = readQuery(request, queueQuery);
    const afterId = query.cursor === undefined ? 0 : decodeCursor(query.cursor, isPlace)[0];
    const items = await listQueue(deps.database, workspaceOf(request), query.status, afterId, query.limit + 1);
    const page = items.slice(0, query.limit);
    const last = page.at(-1);
    if (items.length > page.length && last !== undefined) linkNext(request, response, encodeCursor([last.id]));
    response.json(page.map(presentQueueItem));
  };

const isPlace = (value: unknown): value is [number] =>
  Array.isArray(value) && value.length === 1 && Number.isSafeInteger(value[0]);

const trigger =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const workspaceId = workspaceOf(request);
    const waitMs = readWaitMs(request, response, deps.config.sync);
    const ids = await requeue(deps.database, workspaceId, deps.config.sync.maxItems);
    const ending = abortOnEnd(response, deps.stopping);
    const watch = deps.levels.settled.watch(workspaceId, ids.at(-1) ?? 0);
    try {
      await dispatch(deps, workspaceId, ids);
      const readItems = () => readOperationsById(deps.database, workspaceId, ids);
      const items = await waitUntil(readItems, (found) => found.every((item) => item.status !== 'pending'), {
        watch,
        isNew: ids.length > 0,
        waitMs,
        signal: ending.signal,
      });
      const tasks = await readTaskViews(
        deps.database,
        workspaceId,
        items.map((item) => item.taskId),
      );
      const results = items.map((item) => ({ sync_item_id: item.id, ...presentOutcome(item, tasks) }));
      const processed = results.filter((result) => result.status !== 'pending').length;
      response.json({
        status: processed === results.length ? 'completed' : 'processing',
        triggered: ids.length,
        processed_count: processed,
        results,
      });
    } finally {
      watch.end();
      ending.dispose();
    }
  };

async function dispatch(deps: ApiDeps, workspaceId: string, ids: number[]) {
  const [firstId] = ids;
  const lastId = ids.at(-1);
  if (firstId === undefined || lastId === undefined) return;
  try {
    await deps.producer.enqueue([{ workspaceId, count: ids.length, firstId, lastId, reason: 'trigger' }]);
  } catch (error) {
    if (!(error instanceof QueueUnavailable)) throw error;
    deps.logger.debug('the triggered operations wait for the reconciler', { firstId, lastId });
  }
}
