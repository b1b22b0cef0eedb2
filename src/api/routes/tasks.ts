// /api/tasks: direct reads and writes of single tasks. A direct write is merged, logged and ordered like a device's operation.
import { type Request, type RequestHandler, type Response, Router } from 'express';
import Joi from 'joi';
import { ApiError } from '../../errors.js';
import { findTask, listTasks, TASK_SORTS, type TaskSort } from '../../storage/readTasks.js';
import type { TaskView } from '../../storage/taskView.js';
import { type DirectWrite, writeTask } from '../../storage/writeTask.js';
import { fieldRules } from '../../sync/operation.js';
import type { Task } from '../../sync/task.js';
import { EXPECTED_TIME, fromMicros, parseTimestamp } from '../../sync/timestamp.js';
import { entityTag, isKnown, requireConditions } from '../conditions.js';
import type { ApiDeps } from '../deps.js';
import { cursorOfWrite } from '../feed.js';
import { writePage } from '../jsonPage.js';
import { route } from '../middleware/methods.js';
import { presentTask } from '../present.js';
import { readQuery } from '../query.js';
import {
  decodeCursor,
  encodeCursor,
  invalidRequest,
  limitRule,
  linkNext,
  readBody,
  relativeReference,
  workspaceOf,
} from '../request.js';

interface ListQuery {
  limit: number;
  sort: TaskSort;
  include_deleted: boolean;
  cursor?: string;
  completed?: boolean;
  updated_since?: string;
}

export const listQuery = Joi.object<ListQuery>({
  limit: limitRule,
  cursor: Joi.string(),
  completed: Joi.boolean(),
  updated_since: Joi.string(),
  include_deleted: Joi.boolean().default(false),
  sort: Joi.valid(...TASK_SORTS).default('created_at'),
});

interface TaskBody {
  id?: string;
  title: string;
  description?: string | null;
  completed?: boolean;
}

export const createBody = Joi.object<TaskBody>({ ...fieldRules, title: fieldRules.title.required() });
export const replaceBody = Joi.object<TaskBody>({
  ...fieldRules,
  title: fieldRules.title.required(),
  id: Joi.any().strip(),
});
export const patchBody = Joi.object<Partial<TaskBody> & { deleted?: false }>({
  ...fieldRules,
  id: Joi.any().strip(),
  deleted: Joi.valid(false).messages({ 'any.only': '{{#label}} can only be set to false here; use DELETE to delete' }),
});

/** The routes of /api/tasks. */
export function taskRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/tasks', { get: list(deps), post: create(deps) }, { get: listQuery });
  route(router, '/api/tasks/:id', { get: read(deps), put: replace(deps), patch: patch(deps), delete: remove(deps) });
  return router;
}

const list =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const query = readQuery(request, listQuery);
    const maxBytes = deps.config.responseLimitBytes;
    const { rows, hasMore } = await listTasks(deps.database, {
      workspaceId: workspaceOf(request),
      sort: query.sort,
      limit: query.limit,
      maxBytes,
      includeDeleted: query.include_deleted,
      ...(query.cursor === undefined ? {} : { after: readPlace(query.cursor, query.sort) }),
      ...(query.completed === undefined ? {} : { completed: query.completed }),
      ...(query.updated_since === undefined ? {} : { updatedSince: readSince(query.updated_since) }),
    });
    const page = writePage(rows, presentTask, maxBytes);
    const last = rows[page.count - 1];
    if ((hasMore || page.count < rows.length) && last !== undefined) {
      const sortValue = query.sort.endsWith('created_at') ? last.createdAt : last.updatedAt;
      linkNext(request, response, encodeCursor([query.sort, sortValue, last.id]));
    }
    await deps.answers.sendPage(response, page.json);
  };

type Place = [sort: string, sortValue: string, id: string];

function readPlace(cursor: string, sort: TaskSort) {
  const isPlace = (value: unknown): value is Place =>
    Array.isArray(value) &&
    value.length === 3 &&
    value.every((part) => typeof part === 'string' && !part.includes('\0')) &&
    value[0] === sort;
  const [, sortValue, id] = decodeCursor(cursor, isPlace);
  if (parseTimestamp(sortValue) !== sortValue) {
    throw invalidRequest([{ field: 'cursor', message: 'cursor is not one that this list gave; start without it' }]);
  }
  return { sortValue, id };
}

/** A plus sign that a client did not encode arrives as a space: an offset like +02:00 is meant. */
function readSince(text: string): string {
  const time = parseTimestamp(text) ?? parseTimestamp(text.replace(/ (?=\d{2}(:?\d{2})?$)/, '+'));
  if (time !== undefined) return time;
  throw invalidRequest([{ field: 'updated_since', message: `updated_since must be ${EXPECTED_TIME}` }]);
}

const read =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const id = readId(request.params.id);
    const task = await findTask(deps.database, workspaceOf(request), id);
    const live = found(task?.deleted === true ? undefined : task, id);
    if (isKnown(request, live)) response.status(304).set('ETag', entityTag(live)).end();
    else answerTask(response, live);
  };

const create =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const { id = deps.newId(), ...fields } = readBody(request, createBody);
    const allows = (current: Task | undefined) => current === undefined;
    const task = await write(deps, request, response, { kind: 'create', taskId: id, fields, allows });
    if (task === undefined)
      throw new ApiError('already_exists', `A task with the id ${id} exists (it may be a deleted one).`);
    const location = relativeReference(request.path, `/api/tasks/${encodeURIComponent(task.id)}`);
    answerTask(response.status(201).location(location), task);
  };

const replace =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const { title, description = null, completed = false } = readBody(request, replaceBody);
    const id = readId(request.params.id);
    const fields = { title, description, completed };
    const allows = unchangedIf(request, isLive);
    const task = await write(deps, request, response, { kind: 'update', taskId: id, fields, allows });
    answerTask(response, found(task, id));
  };

const patch =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const { deleted, ...fields } = readBody(request, patchBody);
    if (deleted === undefined && Object.keys(fields).length === 0) {
      throw invalidRequest([
        { field: 'body', message: 'the body sets nothing: give title, description, completed, or deleted: false' },
      ]);
    }
    const id = readId(request.params.id);
    const restores = deleted === false;
    const allows = unchangedIf(request, (current) => (restores ? current !== undefined : isLive(current)));
    const task = await write(deps, request, response, { kind: 'update', taskId: id, fields, allows });
    answerTask(response, found(task, id));
  };

const remove =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const id = readId(request.params.id);
    const allows = unchangedIf(request, isLive);
    const task = await write(deps, request, response, { kind: 'delete', taskId: id, fields: {}, allows });
    response.json({ status: 'deleted', task: presentTask(found(task, id)) });
  };

/** Writes a task; the answer gets the cursor at which that is visible. */
async function write(
  deps: ApiDeps,
  request: Request,
  response: Response,
  { fields, ...wanted }: Pick<DirectWrite, 'kind' | 'taskId' | 'allows'> & { fields: Partial<TaskBody> },
) {
  const workspaceId = workspaceOf(request);
  const now = () => fromMicros(deps.clock.reserve(1));
  const data = { id: wanted.taskId, ...fields };
  const ids = { opId: deps.newId(), newServerId: deps.newId };
  const strategy = deps.config.sync.conflictStrategy;
  const written = await deps.admission.write(() =>
    writeTask(deps.database, { workspaceId, ...wanted, data, strategy, now, ...ids }),
  );
  if (written === undefined) return undefined;
  deps.metrics.wrote(wanted.kind);
  deps.wakeUps.publish({
    workspaceId,
    seq: written.task.seq,
    settledUpTo: 0,
    batchIds: [],
    incarnation: written.incarnation,
  });
  response.set('Sync-Cursor', cursorOfWrite(workspaceId, written));
  return written.task;
}

/** One task and its ETag. */
function answerTask(response: Response, task: TaskView) {
  response.set('ETag', entityTag(task)).json(presentTask(task));
}

/** Adds If-Match and If-None-Match to what a write allows. What would be 404 without the condition stays 404 (RFC 9110, 13.2.1). */
function unchangedIf(request: Request, allows: DirectWrite['allows']): DirectWrite['allows'] {
  return (task) => {
    const isAllowed = allows(task);
    if (isAllowed && task !== undefined) requireConditions(request, task);
    return isAllowed;
  };
}

const isLive = (task: Task | undefined) => task !== undefined && !task.deleted;

/** The id in the address; one that no task can have is simply not there. */
export function readId(id: string | string[] | undefined): string {
  const text = String(id);
  if (fieldRules.id.validate(text).error !== undefined) throw notFound(text);
  return text;
}

function found(task: TaskView | undefined, id: string): TaskView {
  if (task === undefined) throw notFound(id);
  return task;
}

/** A 404 for a task. */
export const notFound = (id: string) =>
  new ApiError('not_found', `There is no task with the id ${JSON.stringify(id)}.`);
