// What became of an operation, kept so that it can be explained later: the version that a conflict lost to (the task goes on changing),
// and whether a deleted task was brought back. The index serves the history of one task, newest first.
// The columns rewrite nothing; building the index reads the log once and keeps its writers waiting meanwhile.

export const name = '0002_operation_history';

export const up = `
ALTER TABLE sync_queue
  ADD COLUMN lost_to_client_id text COLLATE "C",
  ADD COLUMN lost_to_op_id text COLLATE "C",
  ADD COLUMN lost_to_updated_at timestamptz,
  ADD COLUMN brought_back boolean NOT NULL DEFAULT false;
CREATE INDEX sync_queue_task ON sync_queue (workspace_id, task_id, id);
`;
