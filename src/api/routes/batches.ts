// /api/sync/batch: a batch is stored, dispatched, waited for and answered operation by operation. What is answered with 2xx is
// committed (I1); what is sent again is found again (I2).
import { type Request, type RequestHandler, type Response, Router } from 'express';
import { ApiError } from '../../errors.js';
import { jobsOfBatch } from '../../queue/jobs.js';
import { QueueUnavailable } from '../../queue/producer.js';
import { acceptBatch } from '../../storage/acceptBatch.js';
import type { BatchEntry } from '../../storage/models/syncBatch.js';
import { findBatch, readOperationsByKey, readTaskViews, type StoredBatch } from '../../storage/readBatch.js';
import { fromMicros } from '../../sync/timestamp.js';
import type { ApiDeps } from '../deps.js';
import { route } from '../middleware/methods.js';
import { operationKey, presentBatch } from '../present.js';
import { receiveBatch } from '../receiveBatch.js';
import { invalidRequest, workspaceOf } from '../request.js';
import { readWaitMs, waitUntil } from '../waiting.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The routes of batches. */
export function batchRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/sync/batch', { post: postBatch(deps) });
  route(router, '/api/sync/batches/:id', { get: getBatch(deps) });
  return router;
}

const postBatch =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const receivedMicros = deps.clock.nowMicros();
    const { items, clientTimestamp } = readEnvelope(request, deps.config.sync.maxItems);
    const waitMs = readWaitMs(request, response, deps.config.sync);
    const workspaceId = workspaceOf(request);
    const batchId = deps.newId();
    response.locals.batchId = batchId;
    const firstMicros = deps.clock.reserve(items.length);
    const received = receiveBatch({ items, clientTimestamp, firstMicros, receivedMicros, newTaskId: deps.newId });
    const { maxRetries } = deps.config.retry;
    const now = fromMicros(receivedMicros);
    const ids = await acceptBatch(deps.database, { workspaceId, batchId, ...received, maxRetries, now });
    const watch = deps.levels.settled.watch(workspaceId, ids.at(-1) ?? 0);
    try {
      await dispatch(deps, workspaceId, batchId, ids);
      const batch = { id: batchId, entries: received.entries, clock: received.clock };
      const readBody = () => readOperations(deps, workspaceId, batch);
      const operations = await waitUntil(readBody, isSettled, {
        watch,
        isNew: ids.length > 0,
        waitMs,
        response,
        stopping: deps.stopping,
      });
      await answer(deps, response, workspaceId, batch, operations);
    } finally {
      watch.end();
    }
  };

const getBatch =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const id = String(request.params.id);
    const workspaceId = workspaceOf(request);
    const batch = UUID.test(id) ? await findBatch(deps.database, workspaceId, id) : undefined;
    if (batch === undefined) throw new ApiError('not_found', `There is no batch with the id ${JSON.stringify(id)}.`);
    await answer(deps, response, workspaceId, batch, await readOperations(deps, workspaceId, batch));
  };

/** @throws ApiError for what is no batch at all; what is wrong with single items is answered with each of them */
function readEnvelope(request: Request, maxItems: number) {
  const body: unknown = request.body;
  if (typeof body !== 'object' || body === null || !('items' in body) || !Array.isArray(body.items)) {
    const message = 'the body must be a JSON object with an array `items`, sent with Content-Type: application/json';
    throw invalidRequest([{ field: 'items', message }]);
  }
  const items: unknown[] = body.items;
  if (items.length === 0) throw invalidRequest([{ field: 'items', message: 'items is empty: there is nothing to do' }]);
  if (items.length > maxItems) {
    throw new ApiError(
      'too_large',
      `The batch has ${items.length} items; SYNC_MAX_ITEMS allows ${maxItems}. Send several batches.`,
    );
  }
  return { items, clientTimestamp: 'client_timestamp' in body ? body.client_timestamp : undefined };
}

/** A queue that does not answer costs a delay: the reconciler finds the operations. */
async function dispatch(deps: ApiDeps, workspaceId: string, batchId: string, ids: number[]) {
  try {
    await deps.producer.enqueue(jobsOfBatch(workspaceId, batchId, ids, deps.config.sync.batchSize));
  } catch (error) {
    if (!(error instanceof QueueUnavailable)) throw error;
    deps.logger.debug('the batch waits for the reconciler', { batchId });
  }
}

function readOperations(deps: ApiDeps, workspaceId: string, batch: StoredBatch) {
  const keys = batch.entries.flatMap((entry) => ('error' in entry ? [] : [keyOf(entry)]));
  return readOperationsByKey(deps.database, workspaceId, keys);
}

const keyOf = ({ clientId, opId }: Exclude<BatchEntry, { error: string }>) => ({ clientId, opId });

const isSettled = (operations: Awaited<ReturnType<typeof readOperations>>) =>
  operations.every((operation) => operation.status !== 'pending');

async function answer(
  deps: ApiDeps,
  response: Response,
  workspaceId: string,
  batch: StoredBatch,
  operations: Awaited<ReturnType<typeof readOperations>>,
) {
  const tasks = await readTaskViews(
    deps.database,
    workspaceId,
    operations.map((operation) => operation.taskId),
  );
  const body = presentBatch({
    batchId: batch.id,
    entries: batch.entries,
    clock: batch.clock,
    operations: new Map(operations.map((operation) => [operationKey(operation), operation])),
    tasks,
    serverTime: fromMicros(deps.clock.nowMicros()),
  });
  if (body.status === 'processing') {
    response.status(202).location(`/api/sync/batches/${batch.id}`).set('Retry-After', '1');
  }
  response.json(body);
}
