// The benchmark's ready-made workspaces: what SQL put there must be what operations would have left, or its numbers are about another product.
import { expect } from 'chai';
import { fillWorkspace } from '../../bench/fill.js';
import { requireDatabaseUrl } from '../../config/index.js';
import { updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';

const TASKS = 7;
const OPERATIONS = 24;

describe("the benchmark's filled workspace", () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
    await fillWorkspace(requireDatabaseUrl(system.config), { tasks: TASKS, operations: OPERATIONS });
  });
  after(() => system.stop());

  it('has a log without gaps, and each task at its latest operation (I3)', async () => {
    const log = await system.database.select<{ seq: number; taskId: string; opId: string }>(
      'SELECT seq, task_id AS "taskId", op_id AS "opId" FROM sync_queue ORDER BY id',
      [],
    );
    expect(log.map(({ seq }) => seq)).to.deep.equal(Array.from({ length: OPERATIONS }, (_, index) => index + 1));
    const latest = new Map(log.map(({ taskId, seq, opId }) => [taskId, { seq, opId }]));
    const tasks = await system.database.select<{ id: string; seq: number; opId: string }>(
      'SELECT id, seq, op_id AS "opId" FROM tasks',
      [],
    );
    expect(new Map(tasks.map(({ id, seq, opId }) => [id, { seq, opId }]))).to.deep.equal(latest);
    expect(latest.size).to.equal(TASKS);
  });

  it('can be pulled, pushed to and counted like any other', async () => {
    const { body } = await system.request('GET', '/api/sync/changes');
    expect(body.changes).to.have.length(TASKS);
    const status = await system.request('GET', '/api/sync/status');
    expect(status.body).to.include({ pending: 0, failed: 0, synced: OPERATIONS });
    const pushed = await system.push([updateItem('task-3', { title: 'Later' })]);
    const [item] = pushed.body.processed_items;
    expect(item.status).to.equal('success');
    expect(item.resolved_data.seq).to.equal(OPERATIONS + 1);
  });
});
