// /api/sync/status, /queue and /trigger: what waits, what failed, trying it again, and discarding it.
import { type RequestHandler, Router } from 'express';
import Joi from 'joi';
import { ApiError } from '../../errors.js';
import { describeError } from '../../logger.js';
import { createPendingAge } from '../../pendingAge.js';
import { QueueUnavailable, withTimeLimit } from '../../queue/producer.js';
import { removeHealedJobs } from '../../removeHealedJobs.js';
import { type ChangedItem, discardFailed, retryFailed } from '../../storage/changeFailed.js';
import type { QueueStatus } from '../../storage/models/syncQueueItem.js';
import { countQueue, listQueue, requeue } from '../../storage/readQueue.js';
import { toMicros } from '../../sync/timestamp.js';
import type { ApiDeps } from '../deps.js';
import { writePage } from '../jsonPage.js';
import { route } from '../middleware/methods.js';
import { presentQueueItem } from '../present.js';
import { readQuery } from '../query.js';
import { dispatchAgain, redispatch } from '../redispatch.js';
import { decodeCursor, encodeCursor, limitRule, linkNext, workspaceOf } from '../request.js';
import { readWaitMs } from '../waiting.js';
import { operationNotFound, readOperationId } from './operations.js';

/** An operation that waits longer than this was met neither by its job nor by the reconciler. */
const STALLED_AFTER_S = 30;

export const queueQuery = Joi.object<{ status: QueueStatus; limit: number; cursor?: string }>({
  status: Joi.valid('pending', 'failed', 'synced').default('pending'),
  limit: limitRule,
  cursor: Joi.string(),
});

/** The routes of the queue. */
export function queueRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/sync/status', { get: status(deps) });
  route(router, '/api/sync/queue', { get: list(deps) }, { get: queueQuery });
  route(router, '/api/sync/trigger', { post: trigger(deps) });
  route(router, '/api/sync/queue/:id', { delete: discard(deps) });
  route(router, '/api/sync/queue/:id/retry', { post: retry(deps) });
  return router;
}

const status = (deps: ApiDeps): RequestHandler => {
  const ageMicros = createPendingAge(() => performance.now());
  return async (request, response) => {
    const workspaceId = workspaceOf(request);
    const [counts, queue] = await Promise.all([countQueue(deps.database, workspaceId), readDepths(deps)]);
    const { pending, failed, synced, lastSyncedAt, oldestPendingAt } = counts;
    const oldestPendingS =
      oldestPendingAt === null
        ? null
        : Number(ageMicros(workspaceId, toMicros(oldestPendingAt), deps.clock.nowMicros()) / 1_000n) / 1_000;
    response.set('Sync-Pending', String(pending)).json({
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

/** Not worth waiting for, nor failing for: workers look from time to time, too. */
async function removeHealed({ database, producer, logger, config }: ApiDeps) {
  await withTimeLimit(removeHealedJobs(database, producer), config.queue.commandTimeoutMs).catch((error: unknown) =>
    logger.debug('failed jobs were left to the workers to remove', describeError(error)),
  );
}

const list =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const query = readQuery(request, queueQuery);
    const afterId = query.cursor === undefined ? 0 : decodeCursor(query.cursor, isPlace)[0];
    const { status, limit } = query;
    const maxBytes = deps.config.responseLimitBytes;
    const wanted = { workspaceId: workspaceOf(request), status, afterId, limit, maxBytes };
    const { rows, hasMore } = await listQueue(deps.database, wanted);
    const page = writePage(rows, presentQueueItem, maxBytes);
    const last = rows[page.count - 1];
    const isCut = hasMore || page.count < rows.length;
    if (isCut && last !== undefined) linkNext(request, response, encodeCursor([last.id]));
    // From the first to the last: then the page is all that is pending.
    else if (status === 'pending' && afterId === 0) response.set('Sync-Pending', String(page.count));
    await deps.answers.sendPage(response, page.json);
  };

const isPlace = (value: unknown): value is [number] =>
  Array.isArray(value) && value.length === 1 && Number.isSafeInteger(value[0]);

const trigger =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const workspaceId = workspaceOf(request);
    const waitMs = readWaitMs(request, response, deps.config.sync);
    const { ids, released } = await requeue(deps.database, workspaceId, deps.config.sync.maxItems);
    const results = await redispatch(deps, response, { workspaceId, ids, released, waitMs, reason: 'trigger' });
    await removeHealed(deps);
    const pending = results.filter((result) => result.status === 'pending').length;
    const processed = results.length - pending;
    const body = {
      status: pending === 0 ? 'completed' : 'processing',
      triggered: ids.length,
      processed_count: processed,
      results,
    };
    await deps.answers.sendJson(response.set('Sync-Pending', String(pending)), JSON.stringify(body));
  };

/** Tries one failed operation again, and behind it what depends on it. */
const retry =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const workspaceId = workspaceOf(request);
    const id = readOperationId(request);
    const waitMs = readWaitMs(request, response, deps.config.sync);
    const { released } = requireFailed(await retryFailed(deps.database, workspaceId, id), id);
    const [result] = await redispatch(deps, response, { workspaceId, ids: [id], released, waitMs, reason: 'retry' });
    if (result === undefined) throw operationNotFound(id);
    await removeHealed(deps);
    response.set('Sync-Pending', result.status === 'pending' ? '1' : '0').json(result);
  };

const discard =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const id = readOperationId(request);
    const workspaceId = workspaceOf(request);
    const { item, released } = requireFailed(await discardFailed(deps.database, workspaceId, id), id);
    await dispatchAgain(deps, { workspaceId, ids: released, reason: 'discard' });
    await removeHealed(deps);
    response.json({ status: 'discarded', item: presentQueueItem(item) });
  };

/** The item as it was, if it had failed. @throws ApiError not_found, not_failed */
function requireFailed(changed: ChangedItem | undefined, id: number): ChangedItem {
  if (changed === undefined) throw operationNotFound(id);
  const { item } = changed;
  if (item.status === 'failed') return changed;
  const state = item.status === 'pending' ? 'is pending' : `was settled (${item.outcome})`;
  throw new ApiError('not_failed', `The operation ${id} has not failed: it ${state}. Nothing was changed.`);
}
