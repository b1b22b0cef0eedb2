// COPY of what a bootstrap reads, in the JSON that the product sends: what PostgreSQL and its own client need for the same bytes. The only
// thing it is spared is to look for unsettled operations (sync_status).

const utc = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS ${column}`;

export const COPY_TASKS = `COPY (SELECT row_to_json(r) FROM (
  SELECT id, server_id, title, description, completed, deleted, ${utc('created_at')}, ${utc('updated_at')}, updated_by, op_id, seq,
    'synced' AS sync_status, ${utc('last_synced_at')}
  FROM tasks WHERE workspace_id = 'default' AND NOT deleted ORDER BY seq
) r) TO STDOUT`;
