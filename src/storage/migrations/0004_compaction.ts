// Compaction: a tombstone past its retention becomes a stub, a stub is deleted after a further period, settled log rows go. The indexes
// hold only what compaction looks for, so that a write of a live task touches none of them. The log needs none: its key is in the
// order of acceptance, and one more entry an operation would cost every write.

export const name = '0004_compaction';

export const up = `
ALTER TABLE tasks ADD COLUMN stub boolean NOT NULL DEFAULT false;
CREATE INDEX tasks_tombstones ON tasks (workspace_id, last_synced_at) WHERE deleted AND NOT stub;
CREATE INDEX tasks_stubs ON tasks (workspace_id, last_synced_at) WHERE stub;
CREATE INDEX sync_batches_finished ON sync_batches (workspace_id, finished_at) WHERE finished_at IS NOT NULL;
`;
