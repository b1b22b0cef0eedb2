// The operations that wait for their next attempt, which those behind them on the same task must not overtake, and the creates that have failed,
// on which others depend (docs/decisions/0023). There are entries only while something is put off or has failed, so accepting and applying
// write none, and asking one empty page is all that the others pay. The first predicate names no status, so that no index of unsettled
// operations looks like another way. Building reads the log twice, and keeps its writers waiting meanwhile.

export const name = '0009_put_off';

export const up = `
CREATE INDEX sync_queue_put_off ON sync_queue (workspace_id, task_id, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX sync_queue_failed_creates ON sync_queue (workspace_id, task_id, id) WHERE status = 'failed' AND operation = 'create';
`;
