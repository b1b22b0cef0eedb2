// What an operation is: the one joi schema of a batch's items, and its reading into the code's own shape.
// An invalid item is answered with what is wrong with it and changes nothing (I5).
import { hash } from 'node:crypto';
import Joi from 'joi';
import { compileCheck } from './compileCheck.js';
import { findOversized } from './dataLimits.js';
import type { OperationKind } from './merge.js';
import { stableJson } from './stableJson.js';
import type { TaskFields } from './task.js';
import { EXPECTED_TIME, parseTimestamp } from './timestamp.js';
import { findUnstorable } from './unstorable.js';

const TITLE_MAX_CHARS = 1_000;
const DESCRIPTION_MAX_CHARS = 20_000;

/** Of ids; 1,020 bytes. Two of them are the longest key of an index, which takes 2,704 bytes. */
export const ID_MAX_CHARS = 255;
/** Ids are shown in URLs, logs and dashboards and are index keys: short, and without control characters or line breaks. */
const PRINTABLE_ID = new RegExp(`^[^\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}]{1,${ID_MAX_CHARS}}$`, 'u');
/** Whoever makes a URL of these takes them for steps in a path, also percent-encoded (RFC 3986, 5.2.4). */
const ADDRESSABLE_ID = /^(?!\.{1,2}$)/;

const ID_MESSAGE = `{{#label}} must be 1 to ${ID_MAX_CHARS} printable characters`;
const id = Joi.string()
  .pattern(PRINTABLE_ID)
  .messages({ 'string.pattern.base': ID_MESSAGE, 'string.empty': ID_MESSAGE });
const taskId = id.pattern(ADDRESSABLE_ID, { name: 'addressable' }).messages({
  'string.pattern.name': '{{#label}} must not be . or .., which no address could name',
});

const timestamp = Joi.string()
  .allow(null)
  .custom((text: string, helpers) => (parseTimestamp(text) === undefined ? helpers.error('timestamp') : text))
  .messages({
    timestamp: `{{#label}} must be ${EXPECTED_TIME}`,
    'string.empty': `{{#label}} must be ${EXPECTED_TIME}`,
  });

/** The writable fields of a task; the routes of /api/tasks and the items of a batch share these rules. */
export const fieldRules = {
  id: taskId,
  title: Joi.string().pattern(/\S/).max(TITLE_MAX_CHARS).messages({
    'string.pattern.base': '{{#label}} must not be blank',
    'string.empty': '{{#label}} must not be blank',
  }),
  description: Joi.string().allow('', null).max(DESCRIPTION_MAX_CHARS),
  completed: Joi.boolean(),
};

const dataSchema = Joi.object({ ...fieldRules, updated_at: timestamp });

/** One schema a kind, chosen by the item's own `operation`: a delete needs no data, a create needs a title. */
export const itemSchemas = {
  create: itemSchema(dataSchema.fork('title', (title) => title.required()).required()),
  update: itemSchema(dataSchema.required()),
  delete: itemSchema(Joi.object({ id: taskId, updated_at: timestamp }).allow(null)),
};

/** Whether an item is valid; why it is not, joi says. */
const itemChecks = {
  create: compileCheck(itemSchemas.create),
  update: compileCheck(itemSchemas.update),
  delete: compileCheck(itemSchemas.delete),
};

function itemSchema(data: Joi.ObjectSchema) {
  return Joi.object({
    client_id: id.required(),
    op_id: id.allow(null),
    id: id.allow(null),
    task_id: taskId.allow(null),
    operation: Joi.valid('create', 'update', 'delete').required(),
    if_seq: Joi.number().integer().min(0).allow(null),
    data,
  })
    .required()
    .prefs({ convert: false, allowUnknown: true, errors: { wrap: { label: false } } })
    .messages({ 'object.base': '{{#label}} must be an object' });
}

/** An operation as a device sent it, checked. */
export interface SentOperation {
  clientId: string;
  opId: string;
  kind: OperationKind;
  /** Undefined only for a create that leaves the id to the server. */
  taskId?: string;
  /** `data` as received, kept for the log and for replays. */
  data: Record<string, unknown>;
  /** Canonical; undefined where the device gave none. */
  updatedAt?: string;
  /** Only to be applied to the task at this seq; 0: only if there is no such task. */
  ifSeq?: number;
  /** Equal for equal content: tells a resend from another operation under the same op_id. */
  contentHash: string;
}

/** Why an item was refused. `field` is a path like `data.title`. */
export interface InvalidItem {
  field: string;
  message: string;
}

/** Reads one item of a batch. Never throws; what is wrong comes back as data. */
export function readOperation(item: unknown): { operation: SentOperation } | { invalid: InvalidItem } {
  const unstorable = findUnstorable(item);
  if (unstorable !== undefined) return { invalid: unstorable };
  const kind = kindOf(item);
  const error = itemChecks[kind](item) ? undefined : itemSchemas[kind].validate(item).error;
  // From here on the item itself is read, not joi's copy: a copy made by assignment would adopt a `__proto__` key.
  if (error !== undefined || !isRecord(item)) return { invalid: describe(error) };
  const data = isRecord(item.data) ? item.data : {};
  const oversized = findOversized(data);
  if (oversized !== undefined) return { invalid: oversized };
  const dataId = textOf(data.id);
  const besideId = textOf(item.task_id);
  if (dataId !== undefined && besideId !== undefined && dataId !== besideId) {
    return { invalid: { field: 'task_id', message: 'task_id and data.id name different tasks; send one of them' } };
  }
  const taskId = dataId ?? besideId;
  if (taskId === undefined && kind !== 'create') {
    return { invalid: { field: 'data.id', message: `data.id is required: which task to ${kind}?` } };
  }
  const clientId = String(item.client_id);
  const ifSeq = typeof item.if_seq === 'number' ? item.if_seq : undefined;
  // Without a precondition the content is what it was before there were any: a resend across an upgrade is still known.
  const content: unknown[] = [kind, taskId ?? null, data];
  if (ifSeq !== undefined) content.push(ifSeq);
  const updatedAt = parseTimestamp(textOf(data.updated_at) ?? '');
  const operation: SentOperation = {
    clientId,
    // Without an op_id the content stands in, so that an identical resend is the same operation (I2).
    opId: textOf(item.op_id) ?? textOf(item.id) ?? hashContent([clientId, ...content]),
    kind,
    data,
    contentHash: hashContent(content),
  };
  if (taskId !== undefined) operation.taskId = taskId;
  if (updatedAt !== undefined) operation.updatedAt = updatedAt;
  if (ifSeq !== undefined) operation.ifSeq = ifSeq;
  return { operation };
}

function describe(error: Joi.ValidationError | undefined): InvalidItem {
  const field = error?.details[0]?.path.join('.') || 'item';
  return { field, message: error?.message.replace(/^value /, 'the item ') ?? 'the item must be an object' };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The kind an item claims; an unknown one is read as an update, whose schema then refuses the word. */
function kindOf(item: unknown): OperationKind {
  const claimed = typeof item === 'object' && item !== null && 'operation' in item ? item.operation : undefined;
  return claimed === 'create' || claimed === 'delete' ? claimed : 'update';
}

/** The fields that an operation's data sets; what the server owns or does not know is ignored. */
export function fieldsOf(data: Record<string, unknown>): Partial<TaskFields> {
  const { title, description, completed } = data;
  const fields: Partial<TaskFields> = {};
  if (typeof title === 'string') fields.title = title;
  if (typeof description === 'string' || description === null) fields.description = description;
  if (typeof completed === 'boolean') fields.completed = completed;
  return fields;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** 128 bits of SHA-256 over key-sorted JSON: no two contents will ever meet by chance. */
function hashContent(content: unknown[]): string {
  return hash('sha256', stableJson(content), 'base64url').slice(0, 22);
}
