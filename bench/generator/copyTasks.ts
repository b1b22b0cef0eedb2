// COPY of what a bootstrap reads, in the JSON that the product sends: what PostgreSQL and its own client need for the same bytes. The only
// thing it is spared is to look for unsettled operations (sync_status).
import { spawn } from 'node:child_process';
import { createMarkerCount } from './markerCount.js';
import type { Counter } from './pull.js';

const utc = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS ${column}`;

const COPY_TASKS = `COPY (SELECT row_to_json(r) FROM (
  SELECT id, server_id, title, description, completed, deleted, ${utc('created_at')}, ${utc('updated_at')}, updated_by, op_id, seq,
    'synced' AS sync_status, ${utc('last_synced_at')}
  FROM tasks WHERE workspace_id = 'default' AND NOT deleted ORDER BY seq
) r) TO STDOUT`;

/** Copies everything once, counting what arrives until `signal` aborts. */
export function copyTasks(psql: string, databaseUrl: string, counter: Counter, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(psql, ['--no-psqlrc', '--quiet', '--dbname', databaseUrl, '--command', COPY_TASKS], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const count = createMarkerCount('\n');
    child.stdout.on('data', (chunk: Buffer) => {
      counter.rows += count(chunk);
      counter.bytes += chunk.length;
    });
    const end = () => void child.kill('SIGKILL');
    signal.addEventListener('abort', end, { once: true });
    child.once('error', reject);
    child.once('close', (code) => {
      signal.removeEventListener('abort', end);
      if (code === 0 || signal.aborted) resolve();
      else reject(new Error(`psql ended with exit code ${code}`));
    });
  });
}
