// The first schema. Every key starts with workspace_id, so that the tables can be distributed by it. No foreign keys: they would
// make accepting a batch touch the workspace's row, which the applying transaction has locked.

export const name = '0001_initial';

export const up = `
CREATE TABLE workspaces (
  id text COLLATE "C" PRIMARY KEY,
  seq bigint NOT NULL DEFAULT 0,
  floor_seq bigint NOT NULL DEFAULT 0,
  synced bigint NOT NULL DEFAULT 0,
  last_synced_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO workspaces (id) VALUES ('default');

CREATE TABLE sync_identity (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  incarnation uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO sync_identity DEFAULT VALUES;

CREATE TABLE tasks (
  workspace_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  server_id uuid NOT NULL,
  title text NOT NULL,
  description text,
  completed boolean NOT NULL,
  deleted boolean NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  updated_by text COLLATE "C" NOT NULL,
  op_id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  last_synced_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id)
);
CREATE UNIQUE INDEX tasks_seq ON tasks (workspace_id, seq);
CREATE UNIQUE INDEX tasks_server_id ON tasks (workspace_id, server_id);
CREATE INDEX tasks_created_at ON tasks (workspace_id, created_at, id);
CREATE INDEX tasks_updated_at ON tasks (workspace_id, updated_at, id);

CREATE TABLE sync_batches (
  workspace_id text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  total integer NOT NULL,
  entries jsonb NOT NULL,
  clock jsonb,
  first_operation_id bigint,
  last_operation_id bigint,
  created_at timestamptz NOT NULL,
  finished_at timestamptz,
  PRIMARY KEY (workspace_id, id)
);
CREATE INDEX sync_batches_unfinished ON sync_batches (workspace_id, last_operation_id) WHERE finished_at IS NULL;

CREATE SEQUENCE sync_queue_id_seq;
CREATE TABLE sync_queue (
  workspace_id text COLLATE "C" NOT NULL,
  id bigint NOT NULL DEFAULT nextval('sync_queue_id_seq'),
  batch_id uuid,
  position integer NOT NULL DEFAULT 0,
  client_id text COLLATE "C" NOT NULL,
  op_id text COLLATE "C" NOT NULL,
  content_hash text COLLATE "C" NOT NULL,
  task_id text COLLATE "C" NOT NULL,
  operation text NOT NULL CHECK (operation IN ('create', 'update', 'delete')),
  task_data jsonb NOT NULL,
  updated_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'synced', 'failed')),
  outcome text CHECK (outcome IN ('success', 'conflict', 'exists', 'not_found')),
  seq bigint,
  error text,
  retry_count integer NOT NULL DEFAULT 0,
  max_retries integer NOT NULL,
  created_at timestamptz NOT NULL,
  last_attempted_at timestamptz,
  next_attempt_at timestamptz,
  PRIMARY KEY (workspace_id, id)
);
ALTER SEQUENCE sync_queue_id_seq OWNED BY sync_queue.id;
CREATE UNIQUE INDEX sync_queue_operation ON sync_queue (workspace_id, client_id, op_id);
CREATE INDEX sync_queue_pending ON sync_queue (workspace_id, id) WHERE status = 'pending';
CREATE INDEX sync_queue_failed ON sync_queue (workspace_id, id) WHERE status = 'failed';
CREATE INDEX sync_queue_unsettled ON sync_queue (workspace_id, task_id, id) WHERE status <> 'synced';
`;
