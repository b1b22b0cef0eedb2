// Writing to a running cluster, by its API and by its database.
import { createItem } from './operations.js';
import { queryDatabase } from './postgres.js';

/** Sends JSON. @returns the status */
export async function send(method: string, url: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json', connection: 'close', ...headers },
    body: JSON.stringify(body),
  });
  await response.text();
  return response.status;
}

export const idsOf = (label: string, count: number) => Array.from({ length: count }, (_, index) => `${label}-${index}`);

/** Pushes creates of these tasks as one batch. @returns the status */
export const push = (url: string, ids: string[], prefer = 'respond-async') =>
  send('POST', `${url}/api/sync/batch`, { items: ids.map((id) => createItem(id)) }, { prefer });

/** Many large tasks at once, as a workspace full of long notes would have written them; the next write makes them known. */
export const insertTasks = (databaseUrl: string, label: string, count: number, descriptionChars: number) =>
  queryDatabase(
    databaseUrl,
    `WITH w AS (UPDATE workspaces SET seq = seq + ${count} RETURNING id, seq - ${count} AS seq)
     INSERT INTO tasks (workspace_id, id, server_id, title, description, completed, deleted, created_at, updated_at, updated_by, op_id,
       seq, last_synced_at)
     SELECT w.id, '${label}-' || n, gen_random_uuid(), 'Task ' || n, nullif(repeat('x', ${descriptionChars}), ''), false, false, now(),
       now(), 'phone', 'op-' || n, w.seq + n, now() FROM w, generate_series(1, ${count}) AS n`,
  );
