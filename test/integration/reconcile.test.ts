// I1: the queue carries wake-ups only. Jobs may be lost at any time; the operations are applied all the same.
import { expect } from 'chai';
import { createLogger } from '../../src/logger.js';
import { createProducer } from '../../src/queue/producer.js';
import { findStalled } from '../../src/storage/findStalled.js';
import { fromMicros } from '../../src/sync/timestamp.js';
import { openQueueAddress } from '../support/queueAddress.js';
import { eventually, type System, startSystem } from '../support/system.js';

const FAR = '9999-01-01T00:00:00.000000Z';

const create = (id: string) => ({
  client_id: 'phone',
  op_id: `op-${id}`,
  operation: 'create',
  data: { id, title: 'Task' },
});

describe('the reconciler', () => {
  let system: System;
  before(async () => {
    const env = { RECONCILE_AFTER_MS: '200', RECONCILE_INTERVAL_MS: '50' };
    system = await startSystem(import.meta.url, { workers: 0, env });
  });
  after(() => system.stop());

  it('dispatches what was accepted and lost its job', async () => {
    const answers = [];
    for (let batch = 0; batch < 5; batch += 1) {
      answers.push(
        await system.push([create(`lost-${batch}-a`), create(`lost-${batch}-b`)], {}, { prefer: 'respond-async' }),
      );
    }
    for (const answer of answers) expect(answer.status).to.equal(202);
    const logger = createLogger({ level: 'error', process: 'test' });
    const producer = createProducer(
      await openQueueAddress(system.config.queue, system.config.database.url ?? ''),
      logger,
      {
        timeoutMs: 5_000,
        sharedJobSize: 500,
      },
    );
    await producer.queue.waitUntilReady();
    await producer.queue.obliterate({ force: true });
    expect((await producer.depths()).waiting).to.equal(0);

    await system.startWorker();
    await eventually(async () => (await system.request('GET', '/api/sync/status')).body.pending === 0);
    for (const answer of answers) {
      const now = await system.request('GET', `/api/sync/batches/${answer.body.batch_id}`);
      expect(now.body.summary).to.include({ success: 2, pending: 0 });
    }
    await eventually(async () => {
      const [open] = await system.database.select<{ count: number }>(
        'SELECT count(*) FROM sync_batches WHERE finished_at IS NULL',
        [],
      );
      return open?.count === 0;
    });
    await producer.close();
  });

  it('finds the oldest pending operation of each workspace, and only what has waited long enough', async () => {
    const insert = (workspaceId: string, opId: string, createdAt: string) =>
      system.database.select(
        `INSERT INTO sync_queue (workspace_id, client_id, op_id, content_hash, task_id, operation, task_data, updated_at, max_retries, created_at, status)
         VALUES ($1, 'c', $2, '', 't', 'delete', '{}', now(), 3, $3::timestamptz, 'pending') RETURNING id`,
        [workspaceId, opId, createdAt],
      );
    // Workspaces without a row: no worker takes these operations.
    await insert('other-1', 'a', '2026-01-01T00:00:00Z');
    await insert('other-1', 'b', '2026-01-03T00:00:00Z');
    await insert('other-2', 'a', '2026-01-02T00:00:00Z');
    await insert('other-3', 'a', '2026-01-05T00:00:00Z');
    const stalled = await findStalled(system.database, '2026-01-02T00:00:00.000000Z', FAR, 10);
    expect(stalled.map(({ workspaceId, firstId, lastId }) => [workspaceId, lastId > firstId])).to.deep.equal([
      ['other-1', true],
      ['other-2', false],
    ]);
    expect(await findStalled(system.database, '2026-01-02T00:00:00.000000Z', FAR, 1)).to.have.length(1);
    expect(await findStalled(system.database, fromMicros(0n), FAR, 10)).to.deep.equal([]);
    const future = await findStalled(system.database, fromMicros(0n), '2026-01-04T00:00:00.000000Z', 10);
    expect(
      future.map(({ workspaceId }) => workspaceId),
      'accepted by a clock that was ahead',
    ).to.deep.equal(['other-3']);
    await system.database.select("DELETE FROM sync_queue WHERE workspace_id LIKE 'other-%' RETURNING id", []);
  });
});
