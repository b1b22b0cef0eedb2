// What a task's unsettled operations say is one look: the newest pending one stands last, behind those that failed. Read one by one they were
// 20 for each task in a backlog of 100,000 operations on 5,000 tasks, and their answers took PostgreSQL three times as long as without a
// backlog. The id is for the entries that a VACUUM has not removed yet: without it the newest ones may stand behind dozens of them. As many
// index entries a write as before. Building reads the log once, and keeps readers and writers of it waiting meanwhile.

export const name = '0008_unsettled_by_status';

export const up = `
DROP INDEX sync_queue_unsettled;
CREATE INDEX sync_queue_unsettled ON sync_queue (workspace_id, task_id, status, id) WHERE status <> 'synced';
`;
