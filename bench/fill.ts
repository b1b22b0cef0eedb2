// Workspaces that have been in use for long, made by SQL: what stands in the tables afterwards is what as many operations would have left
// there, one after the other: a gapless seq (I3), a log row for each operation, each task at its latest one, the counters in step.
import { query } from './servers.js';

/** Rows a statement: a million in one go would keep all of it in one transaction's memory. */
const CHUNK = 250_000;

/** Fills the default workspace. @param options.operations at least as many as tasks; operation n goes to task ((n - 1) mod tasks) + 1 */
export async function fillWorkspace(
  databaseUrl: string,
  options: { tasks: number; operations: number },
): Promise<void> {
  const { tasks, operations } = options;
  for (let from = 1; from <= operations; from += CHUNK) {
    await query(databaseUrl, LOG, [from, Math.min(from + CHUNK - 1, operations), tasks]);
  }
  for (let from = 1; from <= tasks; from += CHUNK) {
    await query(databaseUrl, TASKS, [from, Math.min(from + CHUNK - 1, tasks), tasks, operations]);
  }
  await query(databaseUrl, `UPDATE workspaces SET seq = $1, synced = $1, last_synced_at = now() WHERE id = 'default'`, [
    operations,
  ]);
  await query(databaseUrl, 'CHECKPOINT');
}

/** The time of operation n: a day ago, a millisecond after the one before, so that whatever is pushed now wins. */
const TIME = `date_trunc('day', now()) - interval '1 day' + n * interval '1 millisecond'`;
const TITLE = `'Number ' || n || ' of what has to be done'`;
const DESCRIPTION = `'As agreed on the phone, with everything that belongs to it and the receipt'`;

const LOG = `
INSERT INTO sync_queue (workspace_id, client_id, op_id, content_hash, task_id, operation, task_data, updated_at, status, outcome, seq,
  max_retries, created_at, last_attempted_at)
SELECT 'default', 'filler-' || n % 100, 'fill-' || n, md5(n::text), 'task-' || (n - 1) % $3::bigint + 1,
  CASE WHEN n <= $3 THEN 'create' ELSE 'update' END,
  jsonb_build_object('id', 'task-' || (n - 1) % $3 + 1, 'title', ${TITLE}, 'description', ${DESCRIPTION}), ${TIME}, 'synced', 'success', n,
  3, ${TIME}, ${TIME}
FROM generate_series($1::bigint, $2::bigint) AS n`;

// The last operation on task i is the highest n up to the number of operations that leaves the rest of i.
const TASKS = `
INSERT INTO tasks (workspace_id, id, server_id, title, description, completed, deleted, created_at, updated_at, updated_by, op_id, seq,
  last_synced_at)
SELECT 'default', 'task-' || i, gen_random_uuid(), ${TITLE}, ${DESCRIPTION}, n % 3 = 0, false,
  date_trunc('day', now()) - interval '1 day' + i * interval '1 millisecond', ${TIME}, 'filler-' || n % 100, 'fill-' || n, n, ${TIME}
FROM (
  SELECT i, i + ($4::bigint - i) / $3::bigint * $3 AS n FROM generate_series($1::bigint, $2::bigint) AS i
) latest ORDER BY i`;
