// The sync status of a task says the worst of its operations that is still news: one waits, or else one failed after the task was last written.
import { expect } from 'chai';
import { readOutcomes } from '../../src/storage/readOutcomes.js';
import { type System, startSystem } from '../support/system.js';

const WRITTEN = '2026-03-01T12:00:00.000000Z';
const BEFORE = '2026-03-01T11:59:59.999999Z';
const AFTER = '2026-03-01T12:00:00.000001Z';

interface Operation {
  status: 'synced' | 'pending' | 'failed';
  /** When it was attempted last. */
  at: string | null;
}

const KINDS: Operation[] = [
  { status: 'synced', at: AFTER },
  { status: 'pending', at: null },
  { status: 'pending', at: AFTER },
  { status: 'failed', at: null },
  { status: 'failed', at: BEFORE },
  { status: 'failed', at: WRITTEN },
  { status: 'failed', at: AFTER },
];

/** Every list of up to three operations, in every order. */
const LISTS: Operation[][] = [0, 1, 2].reduce<Operation[][]>(
  (lists) => [[], ...lists.flatMap((list) => KINDS.map((kind) => [...list, kind]))],
  [[]],
);

function expected(operations: Operation[]) {
  if (operations.some(({ status }) => status === 'pending')) return 'pending';
  const isNews = ({ status, at }: Operation) => status === 'failed' && at !== null && at >= WRITTEN;
  return operations.some(isNews) ? 'error' : 'synced';
}

describe('the sync status of a task', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
  });
  after(() => system.stop());

  it('is that of its operations, whatever they are and in whatever order they came', async () => {
    const { database } = system;
    const tasks = LISTS.map((operations, index) => ({ id: `task-${index}`, operations }));
    expect(tasks).to.have.length(1 + 7 + 49 + 343);
    await database.select(
      `INSERT INTO tasks (workspace_id, id, server_id, title, completed, deleted, created_at, updated_at, updated_by, op_id, seq, last_synced_at)
       SELECT 'default', id, gen_random_uuid(), 'T', false, false, $2, $2, 'phone', id, row_number() OVER (), $2
       FROM unnest($1::text[]) id RETURNING id`,
      [tasks.map(({ id }) => id), WRITTEN],
    );
    const rows = tasks.flatMap(({ id, operations }) => operations.map(({ status, at }) => ({ id, status, at })));
    await database.select(
      `INSERT INTO sync_queue (workspace_id, client_id, op_id, content_hash, task_id, operation, task_data, updated_at, status,
         max_retries, created_at, last_attempted_at)
       SELECT 'default', 'phone', 'op-' || n, 'hash', r.id, 'update', '{}', $2, r.status, 3, $2, r.at
       FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (id text, status text, at timestamptz)) WITH ORDINALITY AS r(id, status, at, n)
       RETURNING id`,
      [JSON.stringify(rows), WRITTEN],
    );
    const taskIds = tasks.map(({ id }) => id);
    const { tasks: views } = await readOutcomes(database, 'default', { keys: [], taskIds, maxBytes: 1 });
    for (const { id, operations } of tasks) {
      expect(views.get(id)?.syncStatus, JSON.stringify(operations)).to.equal(expected(operations));
    }
  });
});
