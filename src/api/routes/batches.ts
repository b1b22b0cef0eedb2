// POST /api/sync/batch and GET /api/sync/batches/:id.
import { type RequestHandler, type Response, Router } from 'express';
import { ApiError } from '../../errors.js';
import type { BatchEntry } from '../../storage/models/syncBatch.js';
import type { ApiDeps } from '../deps.js';
import { route } from '../middleware/methods.js';
import type { presentBatch } from '../present.js';
import { awaitBatch, readBatchNow, readEnvelope, storeBatch } from '../pushBatch.js';
import { relativeReference, workspaceOf } from '../request.js';
import { abortOnEnd, readWaitMs } from '../waiting.js';

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
    const envelope = readEnvelope(deps, request.body);
    const waitMs = readWaitMs(request, response, deps.config.sync);
    const batchId = deps.newId();
    response.locals.batchId = batchId;
    const ending = abortOnEnd(response, deps.stopping);
    try {
      const wait = { waitMs, signal: ending.signal };
      const workspaceId = workspaceOf(request);
      const stored = await storeBatch(deps, workspaceId, batchId, envelope, waitMs > 0);
      response.locals.clientId = onlyClientOf(stored.batch.entries);
      await answer(deps, response, await awaitBatch(deps, workspaceId, stored, wait));
    } finally {
      ending.dispose();
    }
  };

const getBatch =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const id = String(request.params.id);
    const workspaceId = workspaceOf(request);
    const body = UUID.test(id) ? await readBatchNow(deps, workspaceId, id) : undefined;
    if (body === undefined) throw new ApiError('not_found', `There is no batch with the id ${JSON.stringify(id)}.`);
    await answer(deps, response, body);
  };

/** Whose batch it is, for the log; undefined where it holds operations of several devices, or of none. */
function onlyClientOf(entries: readonly BatchEntry[]): string | undefined {
  const first = entries[0]?.clientId ?? undefined;
  return entries.every(({ clientId }) => clientId === first) ? first : undefined;
}

function answer({ answers }: ApiDeps, response: Response, body: ReturnType<typeof presentBatch>) {
  if (body.status === 'processing') {
    const location = relativeReference(response.req.path, `/api/sync/batches/${body.batch_id}`);
    response.status(202).location(location).set('Retry-After', '1');
  }
  if (body.cursor !== undefined) response.set('Sync-Cursor', body.cursor);
  response.set('Sync-Pending', String(body.summary.pending));
  return answers.sendJson(response, JSON.stringify(body));
}
