// The limit that PostgreSQL itself sets: what accepting, applying and logging a batch costs as one statement, without HTTP, without a queue,
// without validation, and without the answer that tells each operation's fate. Four connections in one process, synchronous_commit on.
import pg from 'pg';
import { type Exchange, NOTHING } from './jobs.js';
import type { Operation } from './operations.js';

const SCHEMA = `
CREATE TABLE raw_tasks (workspace_id text COLLATE "C", id text COLLATE "C", title text NOT NULL, description text, completed boolean NOT NULL,
  deleted boolean NOT NULL, updated_at timestamptz NOT NULL, updated_by text COLLATE "C" NOT NULL, op_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (workspace_id, id));
CREATE TABLE raw_log (workspace_id text COLLATE "C", client_id text COLLATE "C", op_id text COLLATE "C", task_id text COLLATE "C" NOT NULL,
  operation text NOT NULL, title text NOT NULL, description text, completed boolean NOT NULL, updated_at timestamptz NOT NULL,
  logged_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (workspace_id, client_id, op_id))`;

// The idempotency key is the key of the log: what is logged already is not applied again. The guard is the product's version.
const PUSH = `
WITH fresh AS (
  INSERT INTO raw_log (workspace_id, client_id, op_id, task_id, operation, title, description, completed, updated_at)
  SELECT 'default', * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::timestamptz[])
  ON CONFLICT DO NOTHING
  RETURNING client_id, op_id, task_id, operation, title, description, completed, updated_at
)
INSERT INTO raw_tasks AS t
SELECT 'default', task_id, title, description, completed, operation = 'delete', updated_at, client_id, op_id FROM fresh
ON CONFLICT (workspace_id, id) DO UPDATE SET title = excluded.title, completed = excluded.completed, deleted = excluded.deleted,
  updated_at = excluded.updated_at, updated_by = excluded.updated_by, op_id = excluded.op_id
WHERE (excluded.updated_at, excluded.updated_by, excluded.op_id) > (t.updated_at, t.updated_by, t.op_id)`;

export interface SqlConnection {
  push(operations: readonly Operation[]): Promise<Exchange>;
  close(): Promise<void>;
}

export async function createRawTables(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(SCHEMA).finally(() => client.end());
}

export async function connectSql(databaseUrl: string): Promise<SqlConnection> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  return {
    async push(operations) {
      try {
        await client.query({ name: 'push', text: PUSH, values: columnsOf(operations) });
        return { ...NOTHING, settled: operations.length };
      } catch (error) {
        return { ...NOTHING, errors: 1, fault: error instanceof Error ? error.message : String(error) };
      }
    },
    close: () => client.end(),
  };
}

function columnsOf(operations: readonly Operation[]): unknown[] {
  return [
    operations.map((each) => each.clientId),
    operations.map((each) => each.opId),
    operations.map((each) => each.taskId),
    operations.map((each) => each.kind),
    operations.map((each) => each.title),
    operations.map((each) => each.description),
    operations.map((each) => each.completed),
    operations.map((each) => each.updatedAt),
  ];
}
