// A second workspace beside the one that HTTP serves, put into the database directly: whatever is sent, none of its content may ever come
// back, and none of it may change (I7).
import { randomUUID } from 'node:crypto';
import { queryDatabase } from '../../support/postgres.js';

export interface OtherWorkspace {
  /** Stands in each of its texts, and in nothing that is sent. */
  canary: string;
  /** Ids of its tasks, batches and operations: good for asking, no secret. */
  ids: string[];
  /** Its rows as one text, to see that they are as they were. */
  read(): Promise<string>;
}

const WORKSPACE = 'other';

/** Fills it with tasks, a settled batch, and operations of each status. */
export async function plantOtherWorkspace(databaseUrl: string): Promise<OtherWorkspace> {
  const canary = `canary-${randomUUID()}`;
  const batchId = randomUUID();
  const query = (statement: string, values: unknown[] = []) =>
    queryDatabase<Record<string, unknown>>(databaseUrl, statement, values);
  await query(`INSERT INTO workspaces (id, seq, synced, last_synced_at) VALUES ($1, 20, 20, now())`, [WORKSPACE]);
  await query(
    `INSERT INTO tasks (workspace_id, id, server_id, title, description, completed, deleted, created_at, updated_at, updated_by, op_id,
       seq, last_synced_at)
     SELECT $1, 'task-' || n, gen_random_uuid(), $2 || ' title', $2 || ' description', false, n % 5 = 0, now(), now(), $2, $2 || n, n, now()
     FROM generate_series(1, 20) n`,
    [WORKSPACE, canary],
  );
  // No operation of it is pending: the reconciler would rightly apply that.
  await query(
    `INSERT INTO sync_queue (workspace_id, batch_id, position, client_id, op_id, content_hash, task_id, operation, task_data, updated_at,
       status, outcome, seq, error, max_retries, created_at)
     SELECT $1, $3::uuid, n, 'phone', 'op-' || n, $2, 'task-' || n, 'update', jsonb_build_object('id', 'task-' || n, 'title', $2::text), now(),
       CASE WHEN n % 4 = 0 THEN 'failed' ELSE 'synced' END, CASE WHEN n % 4 = 0 THEN NULL WHEN n % 4 = 1 THEN 'conflict' ELSE 'success' END,
       n, CASE WHEN n % 4 = 0 THEN $2 END, 3, now()
     FROM generate_series(1, 20) n`,
    [WORKSPACE, canary, batchId],
  );
  await query(
    `INSERT INTO sync_batches (workspace_id, id, total, entries, created_at, finished_at)
     VALUES ($1, $2::uuid, 1, $3::jsonb, now(), now())`,
    [
      WORKSPACE,
      batchId,
      JSON.stringify([{ clientId: 'phone', opId: 'op-1', contentHash: canary, error: canary, field: 'x' }]),
    ],
  );
  const read = async () => {
    const rows = await Promise.all(
      [
        'workspaces WHERE id = $1',
        ...['tasks', 'sync_queue', 'sync_batches'].map((table) => `${table} WHERE workspace_id = $1`),
      ].map((from) => query(`SELECT * FROM ${from} ORDER BY id`, [WORKSPACE])),
    );
    return JSON.stringify(rows);
  };
  const found = await query(
    `SELECT id, server_id::text FROM tasks WHERE workspace_id = $1 UNION ALL SELECT id::text, op_id FROM sync_queue WHERE workspace_id = $1`,
    [WORKSPACE],
  );
  const ids = found.flatMap((row) => [String(row.id), String(row.server_id)]);
  return { canary, ids: [batchId, WORKSPACE, ...ids], read };
}
