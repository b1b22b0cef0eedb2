// I2, I3: batches of a workspace are applied in the order of acceptance, once, however many workers there are and however often their
// jobs are delivered.
import { expect } from 'chai';
import { createLogger } from '../../src/logger.js';
import { createProducer, type Producer } from '../../src/queue/producer.js';
import { refuseTitles } from '../support/faults.js';
import { openQueueAddress } from '../support/queueAddress.js';
import { eventually, type System, startSystem } from '../support/system.js';

const create = (id: string, title = 'Task') => ({
  client_id: 'phone',
  op_id: `op-${id}`,
  operation: 'create',
  data: { id, title },
});
const async = { prefer: 'respond-async' };

describe('the order of batches', () => {
  let system: System;
  let producer: Producer;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 3 });
    const logger = createLogger({ level: 'error', process: 'test' });
    producer = createProducer(await openQueueAddress(system.config.queue, system.config.database.url ?? ''), logger, {
      timeoutMs: 5_000,
      sharedJobSize: 500,
    });
    await producer.queue.waitUntilReady();
  });
  after(async () => {
    await producer.close();
    await system.stop();
  });

  const nothingPending = () =>
    eventually(async () => (await system.request('GET', '/api/sync/status')).body.pending === 0, 30_000);

  async function seqsOf(prefix: string) {
    const rows = await system.database.select<{ taskId: string; seq: number; batchId: string }>(
      `SELECT task_id AS "taskId", seq, batch_id AS "batchId" FROM sync_queue WHERE task_id LIKE $1 ORDER BY seq`,
      [`${prefix}-%`],
    );
    return rows;
  }

  it('is the order in which they were accepted, with three workers', async () => {
    const batchIds: string[] = [];
    for (let batch = 0; batch < 20; batch += 1) {
      const items = Array.from({ length: 10 }, (_, index) => create(`order-${batch}-${index}`));
      const answer = await system.push(items, {}, async);
      batchIds.push(answer.body.batch_id);
    }
    await nothingPending();
    const rows = await seqsOf('order');
    expect(rows.map((row) => row.taskId)).to.deep.equal(
      Array.from({ length: 200 }, (_, index) => `order-${Math.floor(index / 10)}-${index % 10}`),
    );
    expect([...new Set(rows.map((row) => row.batchId))]).to.deep.equal(batchIds);
  });

  it('holds when the first one has to be tried again', async () => {
    const allow = await refuseTitles(system.database, 'Held', '40001');
    await system.push([create('held-1', 'Held'), create('held-2')], {}, async);
    await system.push([create('held-3')], {}, async);
    await eventually(async () => {
      const [row] = await system.database.select<{ tried: boolean }>(
        "SELECT last_attempted_at IS NOT NULL AS tried FROM sync_queue WHERE op_id = 'op-held-3'",
        [],
      );
      return row?.tried === true;
    });
    await allow();
    await nothingPending();
    expect((await seqsOf('held')).map((row) => row.taskId)).to.deep.equal(['held-1', 'held-2', 'held-3']);
  });

  it('a job delivered five times at once, shuffled, has its effect once', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => `again-${index}`);
    const answers = await Promise.all(ids.map((id) => system.push([create(id)], {}, async)));
    const rows = await system.database.select<{ id: number; batchId: string }>(
      `SELECT id, batch_id AS "batchId" FROM sync_queue WHERE task_id LIKE 'again-%'`,
      [],
    );
    expect(rows).to.have.length(answers.length);
    const jobs = rows.map(({ id, batchId }) => ({
      workspaceId: 'default',
      batchId,
      count: 1,
      firstId: id,
      lastId: id,
    }));
    const shuffled = [...jobs, ...jobs.toReversed(), ...jobs, ...jobs.toReversed(), ...jobs];
    await producer.enqueue(shuffled);
    await nothingPending();
    await eventually(async () => {
      const { waiting, active } = await producer.depths();
      return waiting + active === 0;
    });
    const [counts] = await system.database.select<{ effects: number; different: number; seq: number; synced: number }>(
      `SELECT count(seq) AS effects, count(DISTINCT seq) AS different, (SELECT seq FROM workspaces WHERE id = 'default') AS seq,
         (SELECT synced FROM workspaces WHERE id = 'default') AS synced FROM sync_queue`,
      [],
    );
    expect(counts?.different).to.equal(counts?.effects);
    expect(counts?.seq).to.equal(counts?.effects);
    expect(counts?.synced).to.equal(counts?.effects);
  });
});
