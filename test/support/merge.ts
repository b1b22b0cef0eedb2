// Builders and arbitraries for the pure merge.
import fc from 'fast-check';
import {
  type AcceptedOperation,
  type ConflictStrategy,
  type FoldResult,
  foldOperations,
} from '../../src/sync/merge.js';
import type { Task } from '../../src/sync/task.js';

/** 2026-01-01T10:MM:00Z. */
export const at = (minute: number) => `2026-01-01T10:${String(minute).padStart(2, '0')}:00.000000Z`;

export const NOW = '2026-06-01T00:00:00.000000Z';

/** A task last written by phone / op 'base' at minute 10. */
export function task(changes: Partial<Task> = {}): Task {
  return {
    id: 't1',
    serverId: 'server-t1',
    title: 'Buy milk',
    description: 'two litres',
    completed: false,
    deleted: false,
    stub: false,
    createdAt: at(0),
    updatedAt: at(10),
    updatedBy: 'phone',
    opId: 'base',
    fieldVersions: null,
    seq: 1,
    lastSyncedAt: at(10),
    ...changes,
  };
}

/** An update of t1's title by laptop / op 'o1' at minute 20. */
export function operation(changes: Partial<AcceptedOperation> = {}): AcceptedOperation {
  return {
    kind: 'update',
    taskId: 't1',
    clientId: 'laptop',
    opId: 'o1',
    updatedAt: at(20),
    fields: { title: 'Buy oat milk' },
    ...changes,
  };
}

/** Folds operations one transaction after the other, from an empty workspace or from `start`. */
export function foldInBatches<Op extends AcceptedOperation>(
  batches: readonly (readonly Op[])[],
  strategy: ConflictStrategy = 'lww',
  start: ReadonlyMap<string, Task> = new Map(),
) {
  const tasks = new Map(start);
  const settled: FoldResult<Op>['settled'] = [];
  let seq = Math.max(0, ...[...start.values()].map((each) => each.seq));
  for (const operations of batches) {
    const result = foldOperations({ tasks, operations, seq, now: NOW, newServerId: () => 'server', strategy });
    for (const changed of result.changed) tasks.set(changed.id, changed);
    settled.push(...result.settled);
    seq = result.seq;
  }
  return { tasks, settled, seq };
}

const fields = fc.record(
  {
    title: fc.constantFrom('Buy milk', 'Buy oat milk', 'Call Ana'),
    description: fc.constantFrom(null, '', 'at the corner shop'),
    completed: fc.boolean(),
  },
  { requiredKeys: [] },
);

/** Operations of a few clients on a few tasks within a few minutes, so that they collide; each with its own op_id. */
export const operations: fc.Arbitrary<AcceptedOperation[]> = fc
  .array(
    fc.record({
      kind: fc.constantFrom('create' as const, 'update' as const, 'update' as const, 'delete' as const),
      taskId: fc.constantFrom('t1', 't2', 't3'),
      clientId: fc.constantFrom('laptop', 'phone', 'tablet'),
      updatedAt: fc.integer({ min: 0, max: 12 }).map(at),
      fields,
    }),
    { maxLength: 40 },
  )
  .map((list) => list.map((each, index) => ({ ...each, opId: `op-${index}` })));

/** Cuts a list into batches anywhere. */
export function split<Value>(list: readonly Value[], cuts: readonly number[]): Value[][] {
  const places = [...new Set(cuts.filter((cut) => cut < list.length))].sort((a, b) => a - b);
  return [0, ...places].map((start, index) => list.slice(start, places[index] ?? list.length));
}

/** All that must not depend on the order of arrival: everything but the server's bookkeeping. By id. */
export function stateOf(tasks: ReadonlyMap<string, Task>) {
  return [...tasks.values()]
    .map(({ seq, serverId, lastSyncedAt, ...state }) => state)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
