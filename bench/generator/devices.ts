// The same operations in each protocol. A device writes its next request and reads the answer, and keeps what its protocol asks a client to
// keep: nothing for ours, the revision of each document for PouchDB, its last known state for RxDB.
import { type Exchange, NOTHING, type Target } from './jobs.js';
import type { Operation } from './operations.js';

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PATCH';
  path: string;
  body?: string;
}

export interface Device {
  write(operations: readonly Operation[]): HttpRequest;
  /** Reads an answer with a 2xx status. */
  read(operations: readonly Operation[], text: string): Exchange;
}

export function createDevice(protocol: Exclude<Target['protocol'], 'sql' | 'crud'>): Device {
  if (protocol === 'pouchdb') return createPouchDevice();
  return protocol === 'rxdb' ? createRxDevice() : taskSyncDevice;
}

/** The counts stand at the beginning of the answer; parsing all of it would cost more than the server needs for it. */
const HEAD_CHARS = 400;

const taskSyncDevice: Device = {
  write: (operations) => ({
    method: 'POST',
    path: '/api/sync/batch',
    body: JSON.stringify({
      items: operations.map(({ clientId, opId, kind, taskId, title, description, completed, updatedAt }) => ({
        client_id: clientId,
        op_id: opId,
        operation: kind,
        data: {
          id: taskId,
          ...(kind === 'delete' ? {} : { title, completed }),
          ...(kind === 'create' ? { description } : {}),
          updated_at: updatedAt,
        },
      })),
    }),
  }),
  read(operations, text) {
    const head = text.slice(0, HEAD_CHARS);
    const pending = Number(/"pending":(\d+)/.exec(head)?.[1] ?? Number.NaN);
    const errors = Number(/"error":(\d+)/.exec(head)?.[1] ?? Number.NaN);
    if (Number.isNaN(pending + errors)) return fault(operations.length, `an answer without a summary: ${head}`);
    const settled = operations.length - pending - errors;
    return { ...NOTHING, settled, pending, errors, ...(errors > 0 ? { fault: text.slice(0, 2_000) } : {}) };
  },
};

function fault(errors: number, why: string): Exchange {
  return { ...NOTHING, errors, fault: why };
}

/** _bulk_docs: a document carries the revision that it replaces; one that is not the current one is a conflict. */
function createPouchDevice(): Device {
  const revisions = new Map<string, string>();
  const sent = new Map<string, object>();
  const documentOf = (operation: Operation) => {
    const { taskId, kind, title, description, completed, updatedAt } = operation;
    const known = operation.isStale ? '1-00000000000000000000000000000000' : revisions.get(taskId);
    const revision = known === undefined ? {} : { _rev: known };
    const deleted = kind === 'delete' ? { _deleted: true } : {};
    return { _id: taskId, ...revision, ...deleted, title, description, completed, updated_at: updatedAt };
  };
  return {
    write(operations) {
      const docs = operations.map((each) => (each.isResend ? sent.get(each.opId) : undefined) ?? documentOf(each));
      sent.clear();
      for (const [index, each] of operations.entries()) sent.set(each.opId, docs[index] ?? {});
      return { method: 'POST', path: '/tasks/_bulk_docs', body: JSON.stringify({ docs }) };
    },
    read(operations, text) {
      const rows: unknown = JSON.parse(text);
      if (!Array.isArray(rows)) return fault(operations.length, text.slice(0, HEAD_CHARS));
      for (const [index, row] of rows.entries()) {
        if (typeof row?.rev === 'string' && operations[index]?.isRevisited) revisions.set(String(row.id), row.rev);
      }
      const errors = rows.filter((row) => row?.error !== undefined && row.error !== 'conflict').length;
      return {
        ...NOTHING,
        settled: operations.length - errors,
        errors,
        ...(errors > 0 ? { fault: text.slice(0, HEAD_CHARS) } : {}),
      };
    },
  };
}

/** The replication endpoint: a row carries the state that it replaces; where the server has another one, it is a conflict. */
function createRxDevice(): Device {
  const known = new Map<string, object>();
  const sent = new Map<string, { newDocumentState: object; assumedMasterState?: object }>();
  const rowOf = (operation: Operation) => {
    const { taskId, kind, title, description, completed, updatedAt, isStale } = operation;
    const current = known.get(taskId);
    const newDocumentState = {
      id: taskId,
      title,
      description,
      completed,
      updated_at: updatedAt,
      _deleted: kind === 'delete',
    };
    const assumedMasterState = isStale ? { ...current, title: 'as it was' } : current;
    return { newDocumentState, ...(assumedMasterState === undefined ? {} : { assumedMasterState }) };
  };
  return {
    write(operations) {
      const rows = operations.map((each) => (each.isResend ? sent.get(each.opId) : undefined) ?? rowOf(each));
      sent.clear();
      for (const [index, each] of operations.entries()) {
        const row = rows[index];
        if (row === undefined) continue;
        sent.set(each.opId, row);
        if (each.isRevisited && !each.isStale && !each.isResend) known.set(each.taskId, row.newDocumentState);
      }
      return { method: 'POST', path: '/tasks/0/push', body: JSON.stringify(rows) };
    },
    read(operations, text) {
      const conflicts: unknown = JSON.parse(text);
      if (!Array.isArray(conflicts)) return fault(operations.length, text.slice(0, HEAD_CHARS));
      for (const document of conflicts) if (known.has(String(document?.id))) known.set(String(document.id), document);
      return { ...NOTHING, settled: operations.length };
    },
  };
}
