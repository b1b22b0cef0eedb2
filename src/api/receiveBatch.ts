// From the items of a request to what is stored of them. Pure: time and ids come in as arguments.

import type { OperationToAccept } from '../storage/acceptBatch.js';
import type { BatchClock, BatchEntry } from '../storage/models/syncBatch.js';
import { operationKey } from '../storage/readOutcomes.js';
import { fixEffectiveTimes } from '../sync/clock.js';
import { ID_MAX_CHARS, readOperation, type SentOperation } from '../sync/operation.js';
import { isClockReading, parseTimestamp } from '../sync/timestamp.js';

export interface ReceivedBatch {
  entries: BatchEntry[];
  /** The valid items, each operation once. */
  operations: OperationToAccept[];
  clock: BatchClock | null;
}

export interface Reception {
  items: readonly unknown[];
  clientTimestamp: unknown;
  /** The first of as many consecutive microseconds as there are items. */
  firstMicros: bigint;
  receivedMicros: bigint;
  newTaskId: () => string;
}

/** Reads the items, fixes their effective times, and leaves out what stands in the batch twice. */
export function receiveBatch(reception: Reception): ReceivedBatch {
  const read = reception.items.map(readOperation);
  const device = readDeviceClock(reception.clientTimestamp);
  const { times, adjusted, skewMs } = fixEffectiveTimes(
    read.map((item) => ('operation' in item ? item.operation.updatedAt : undefined)),
    device.time,
    reception.firstMicros,
    reception.receivedMicros,
  );
  const seen = new Set<string>();
  const operations: OperationToAccept[] = [];
  const entries = read.map((item, position): BatchEntry => {
    if ('invalid' in item) {
      const { field, message } = item.invalid;
      return { ...echoOf(reception.items[position]), field, error: message };
    }
    const { operation } = item;
    const key = operationKey(operation);
    if (!seen.has(key)) {
      seen.add(key);
      operations.push(accepted(operation, position, times[position] ?? '', reception.newTaskId));
    }
    return entryOf(operation);
  });
  const hasClock = reception.clientTimestamp !== undefined || adjusted > 0;
  const message = device.message === undefined ? {} : { message: device.message };
  return { entries, operations, clock: hasClock ? { skewMs: skewMs ?? null, adjusted, ...message } : null };
}

function entryOf({ clientId, opId, contentHash, kind, taskId }: SentOperation): BatchEntry {
  const entry = { clientId, opId, contentHash, operation: kind };
  return taskId === undefined ? entry : { ...entry, taskId };
}

function accepted(operation: SentOperation, position: number, updatedAt: string, newTaskId: () => string) {
  const { clientId, opId, contentHash, kind, data, ifSeq } = operation;
  const taskId = operation.taskId ?? newTaskId();
  const toAccept: OperationToAccept = { position, clientId, opId, contentHash, kind, taskId, data, updatedAt };
  if (ifSeq !== undefined) toAccept.ifSeq = ifSeq;
  return toAccept;
}

/** Nothing is refused for its clock: a client_timestamp that cannot be read is left out, and the answer says so. */
function readDeviceClock(clientTimestamp: unknown): { time?: string; message?: string } {
  if (clientTimestamp === undefined || clientTimestamp === null) return {};
  const isReading = typeof clientTimestamp === 'string' && isClockReading(clientTimestamp);
  const time = isReading ? parseTimestamp(clientTimestamp) : undefined;
  if (time !== undefined) return { time };
  return {
    message: 'client_timestamp was not used: it must be an ISO 8601 date and time like 2026-01-31T10:30:00.000Z',
  };
}

/** What can safely be repeated of an item that is not valid, so that the client knows which one it is. */
function echoOf(item: unknown) {
  const sent: object = typeof item === 'object' && item !== null ? item : {};
  const text = (owner: object, key: string) => {
    const value: unknown = Object.getOwnPropertyDescriptor(owner, key)?.value;
    return typeof value === 'string' &&
      value.length <= 2 * ID_MAX_CHARS &&
      value.isWellFormed() &&
      !value.includes('\0')
      ? value
      : null;
  };
  const data: unknown = Object.getOwnPropertyDescriptor(sent, 'data')?.value;
  const dataId = typeof data === 'object' && data !== null ? text(data, 'id') : null;
  return {
    clientId: text(sent, 'client_id'),
    opId: text(sent, 'op_id') ?? text(sent, 'id'),
    operation: text(sent, 'operation'),
    taskId: dataId ?? text(sent, 'task_id'),
  };
}
