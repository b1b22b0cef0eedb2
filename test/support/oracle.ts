// The oracle of the fault tests: a seeded sequence of operations, and what the pure merge makes of it. One sender pushes them in order,
// so that the order of acceptance is known and tasks, outcomes and seqs must come out exactly.
import { expect } from 'chai';
import { type AcceptedOperation, foldOperations, type OperationKind } from '../../src/sync/merge.js';
import { fieldsOf } from '../../src/sync/operation.js';
import { fromMicros, toMicros } from '../../src/sync/timestamp.js';
import { queryDatabase } from './postgres.js';

export interface SentItem {
  client_id: string;
  op_id: string;
  operation: OperationKind;
  data: { id: string; title?: string; completed?: boolean; updated_at: string };
}

/** Mulberry32 (Tommy Ettinger, public domain): numbers in [0, 1) from a seed. */
export function createRandom(seed: number) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const DAY_START = toMicros('2026-01-01T08:00:00.000000Z');
const DAY_MICROS = 12 * 3_600 * 1_000_000;

/** `count` operations of three devices on `count / 20` tasks: colliding, out of order, some on tasks that are deleted or never were. */
export function makeOperations(seed: number, count: number): SentItem[] {
  const random = createRandom(seed);
  const pick = <Value>(values: readonly [Value, ...Value[]]): Value =>
    values[Math.floor(random() * values.length)] ?? values[0];
  const tasks = Math.ceil(count / 20);
  return Array.from({ length: count }, (_, index) => {
    const isFirst = index < tasks;
    const operation: OperationKind = isFirst
      ? 'create'
      : pick<OperationKind>(['update', 'update', 'update', 'update', 'delete', 'create']);
    const id = `task-${isFirst ? index : Math.floor(random() * (tasks + 2))}`;
    const updatedAt = fromMicros(DAY_START + BigInt(Math.floor(random() * DAY_MICROS)));
    const title =
      operation === 'create' || (operation === 'update' && random() < 0.6) ? { title: `Title ${index}` } : {};
    const completed = operation !== 'delete' && random() < 0.5 ? { completed: random() < 0.5 } : {};
    const client = pick(['phone', 'laptop', 'tablet']);
    return {
      client_id: client,
      op_id: `op-${seed}-${index}`,
      operation,
      data: { id, ...title, ...completed, updated_at: updatedAt },
    };
  });
}

/** Checks the database against the pure merge of `sent`, accepted in this order into an empty workspace. */
export async function expectMergeOf(databaseUrl: string, sent: readonly SentItem[]): Promise<void> {
  const folded = foldOperations({
    tasks: new Map(),
    operations: sent.map(acceptedAs),
    seq: 0,
    now: fromMicros(0n),
    newServerId: () => '',
  });
  const log = await queryDatabase<{ op_id: string; status: string; outcome: string; seq: string | null }>(
    databaseUrl,
    'SELECT op_id, status, outcome, seq FROM sync_queue ORDER BY id',
  );
  expect(
    log.map((row) => [row.op_id, row.status, row.outcome, row.seq === null ? null : Number(row.seq)]),
  ).to.deep.equal(folded.settled.map(({ operation, outcome, seq }) => [operation.opId, 'synced', outcome, seq]));
  const tasks = await queryDatabase<Record<string, unknown>>(
    databaseUrl,
    `SELECT id, title, completed, deleted, updated_by, op_id, seq::int,
       to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS updated_at FROM tasks ORDER BY seq`,
  );
  expect(tasks).to.deep.equal(
    folded.changed
      .toSorted((a, b) => a.seq - b.seq)
      .map(({ id, title, completed, deleted, updatedBy, opId, seq, updatedAt }) => ({
        id,
        title,
        completed,
        deleted,
        updated_by: updatedBy,
        op_id: opId,
        seq,
        updated_at: updatedAt,
      })),
  );
  const [workspace] = await queryDatabase<{ seq: string; synced: string }>(
    databaseUrl,
    "SELECT seq, synced FROM workspaces WHERE id = 'default'",
  );
  expect([Number(workspace?.seq), Number(workspace?.synced)]).to.deep.equal([folded.seq, sent.length]);
}

/** The operation that an item becomes whose time lies in the past. */
export function acceptedAs(item: SentItem): AcceptedOperation {
  return {
    clientId: item.client_id,
    opId: item.op_id,
    kind: item.operation,
    taskId: item.data.id,
    fields: fieldsOf(item.data),
    updatedAt: item.data.updated_at,
  };
}
