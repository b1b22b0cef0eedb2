// The operations that wait for their next attempt, which those behind them on the same task must not overtake (docs/decisions/0023). An
// operation has an entry only while it is put off, so accepting and applying write none; where nothing is put off the index is one empty page,
// and asking it is all that the others pay. The predicate names no status, so that no index of unsettled operations looks like another way.
// Building reads the log once, and keeps its writers waiting meanwhile.

export const name = '0010_put_off';

export const up = `
CREATE INDEX sync_queue_put_off ON sync_queue (workspace_id, task_id, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
`;
