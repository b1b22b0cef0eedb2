// The operation log: a task's history, what became of one operation and why, and writing again what lost.
import { type Request, type RequestHandler, Router } from 'express';
import Joi from 'joi';
import { ApiError } from '../../errors.js';
import { findOperation, listHistory, type OperationWithContext } from '../../storage/readHistory.js';
import { findTask } from '../../storage/readTasks.js';
import { writeTask } from '../../storage/writeTask.js';
import { fieldsOf } from '../../sync/operation.js';
import { FIELD_NAMES, type TaskFields } from '../../sync/task.js';
import { fromMicros } from '../../sync/timestamp.js';
import type { ApiDeps } from '../deps.js';
import { cursorOfWrite } from '../feed.js';
import { writePage } from '../jsonPage.js';
import { route } from '../middleware/methods.js';
import { presentTask, statusOf } from '../present.js';
import { presentHistoryEntry, presentOperation } from '../presentOperation.js';
import { readQuery } from '../query.js';
import { decodeCursor, encodeCursor, limitRule, linkNext, relativeReference, workspaceOf } from '../request.js';
import { notFound, readId } from './tasks.js';

export const historyQuery = Joi.object<{ limit: number; cursor?: string }>({ limit: limitRule, cursor: Joi.string() });

/** The routes of the operation log. */
export function operationRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/tasks/:id/history', { get: history(deps) }, { get: historyQuery });
  route(router, '/api/sync/operations/:id', { get: explain(deps) });
  route(router, '/api/sync/operations/:id/reapply', { post: reapply(deps) });
  return router;
}

const history =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const { limit, cursor } = readQuery(request, historyQuery);
    const id = readId(request.params.id);
    const workspaceId = workspaceOf(request);
    const beforeId = cursor === undefined ? Number.MAX_SAFE_INTEGER : decodeCursor(cursor, isPlace)[0];
    const task = await findTask(deps.database, workspaceId, id);
    // Without a task there may still be operations: they wait, failed, or found no task.
    const maxBytes = deps.config.responseLimitBytes;
    const wanted = { workspaceId, taskId: task?.id ?? id, beforeId, limit, maxBytes };
    const { rows, hasMore } = await listHistory(deps.database, wanted);
    if (rows.length === 0 && task === undefined) throw notFound(id);
    const page = writePage(rows, presentHistoryEntry, maxBytes);
    const last = rows[page.count - 1];
    if ((hasMore || page.count < rows.length) && last !== undefined) {
      linkNext(request, response, encodeCursor([last.id]));
    }
    await deps.answers.sendPage(response, page.json);
  };

const isPlace = (value: unknown): value is [number] =>
  Array.isArray(value) && value.length === 1 && Number.isSafeInteger(value[0]);

const explain =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const operation = await readOperation(deps, request);
    response.json(presentOperation(operation, fromMicros(deps.clock.nowMicros())));
  };

const reapply =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const lost = await readOperation(deps, request);
    const fields = lostFields(lost);
    const workspaceId = workspaceOf(request);
    const written = await deps.admission.write(() =>
      writeTask(deps.database, {
        workspaceId,
        kind: lost.kind,
        taskId: lost.taskId,
        // Without the time it once had: the new operation is made now.
        data: { id: lost.taskId, ...fields },
        allows: (task) => task !== undefined,
        strategy: deps.config.sync.conflictStrategy,
        opId: deps.newId(),
        now: () => fromMicros(deps.clock.reserve(1)),
        newServerId: deps.newId,
      }),
    );
    if (written === undefined) throw notFound(lost.taskId);
    deps.metrics.wrote(lost.kind);
    const { task, operationId, incarnation } = written;
    deps.wakeUps.publish({ workspaceId, seq: task.seq, settledUpTo: 0, batchIds: [], incarnation });
    response
      .status(201)
      .set('Sync-Cursor', cursorOfWrite(workspaceId, written))
      .location(relativeReference(request.path, `/api/sync/operations/${operationId}`))
      .json({ status: 'reapplied', operation_id: operationId, task: presentTask(task) });
  };

/** What an operation wanted and did not get: all of a conflict, and of a merged one the fields that the server kept. */
function lostFields(operation: OperationWithContext): Partial<TaskFields> {
  const status = statusOf(operation);
  const { kind, data, fieldOutcomes } = operation;
  const fields = kind === 'delete' ? {} : fieldsOf(data);
  if (status === 'conflict') return fields;
  if (fieldOutcomes !== null) {
    for (const field of FIELD_NAMES) if (fieldOutcomes[field] !== 'kept_server') delete fields[field];
    return fields;
  }
  throw new ApiError(
    'not_reapplicable',
    `The operation ${operation.id} did not lose: its status is ${status}. Only what lost can be written again.`,
  );
}

async function readOperation(deps: ApiDeps, request: Request): Promise<OperationWithContext> {
  const id = readOperationId(request);
  const operation = await findOperation(deps.database, workspaceOf(request), id);
  if (operation === undefined) throw operationNotFound(id);
  return operation;
}

/** The operation's id in the address. @throws ApiError not_found for what no operation can have */
export function readOperationId(request: Request): number {
  const text = String(request.params.id);
  const id = Number(text);
  if (!/^[1-9]\d*$/.test(text) || !Number.isSafeInteger(id)) throw operationNotFound(text);
  return id;
}

/** A 404 for an operation. */
export function operationNotFound(id: number | string): ApiError {
  return new ApiError('not_found', `There is no operation with the id ${JSON.stringify(id)}.`);
}
