// I5: one bad operation blocks nobody. Real faults of the real database, raised by triggers.
import { expect } from 'chai';
import { createLogger } from '../../src/logger.js';
import { jobsOfBatch } from '../../src/queue/jobs.js';
import { createProducer, type Producer } from '../../src/queue/producer.js';
import { refuseTitles } from '../support/faults.js';
import { openQueueAddress } from '../support/queueAddress.js';
import { eventually, type System, startSystem } from '../support/system.js';

const create = (id: string, title: string) => ({
  client_id: 'phone',
  op_id: `op-${id}`,
  operation: 'create',
  data: { id, title },
});

interface QueueRow {
  status: string;
  outcome: string | null;
  error: string | null;
  retryCount: number;
  lastAttemptedAt: string | null;
  nextAttemptAt: string | null;
}

describe('operations that cannot be applied', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  async function rowOf(opId: string): Promise<QueueRow | undefined> {
    const [row] = await system.database.select<QueueRow>(
      `SELECT status, outcome, error, retry_count AS "retryCount", last_attempted_at AS "lastAttemptedAt",
         next_attempt_at AS "nextAttemptAt" FROM sync_queue WHERE op_id = $1`,
      [opId],
    );
    return row;
  }

  it('a permanent fault fails that operation at once and alone; trigger replays it', async () => {
    const allow = await refuseTitles(system.database, 'Permanent', '22023');
    const items = Array.from({ length: 60 }, (_, index) =>
      create(`perm-${index}`, index === 7 || index === 41 ? `Permanent ${index}` : `Fine ${index}`),
    );
    const answer = await system.push(items);
    expect(answer.status).to.equal(200);
    expect(answer.body.summary).to.include({ success: 58, error: 2, pending: 0 });
    for (const index of [7, 41]) {
      const result = answer.body.processed_items[index];
      expect(result).to.include({ status: 'error', resolved_data: null });
      expect(result.message).to.match(/refused: Permanent/);
      const row = await rowOf(`op-perm-${index}`);
      expect(row).to.include({ status: 'failed', retryCount: 0, outcome: null });
      expect(row?.lastAttemptedAt).to.be.a('string');
    }
    const failed = await system.request('GET', '/api/sync/queue?status=failed');
    expect(failed.body.map((item: { op_id: string }) => item.op_id)).to.deep.equal(['op-perm-7', 'op-perm-41']);

    await allow();
    const triggered = await system.request('POST', '/api/sync/trigger');
    expect(triggered.body).to.include({ status: 'completed', triggered: 2, processed_count: 2 });
    expect(triggered.body.results.map((result: { status: string }) => result.status)).to.deep.equal([
      'success',
      'success',
    ]);
    expect(await rowOf('op-perm-7')).to.include({ status: 'synced', outcome: 'success', error: null, retryCount: 0 });
  });

  it('an unknown fault is tried max_retries times, then fails; its siblings do not wait for it', async () => {
    await refuseTitles(system.database, 'Unknown', 'XX000');
    const answer = await system.push([create('unk-0', 'Fine'), create('unk-1', 'Unknown'), create('unk-2', 'Fine')]);
    expect(answer.body.processed_items.map((item: { status: string }) => item.status)).to.deep.equal([
      'success',
      'error',
      'success',
    ]);
    const row = await rowOf('op-unk-1');
    expect(row).to.include({ status: 'failed', retryCount: 3, nextAttemptAt: null });
    expect(row?.lastAttemptedAt).to.be.a('string');
  });

  it('an unknown fault that passes costs retries and nothing else', async () => {
    await refuseTitles(system.database, 'Passing', 'XX000', 2);
    const answer = await system.push([create('pass-1', 'Passing')]);
    expect(answer.body.processed_items[0]).to.include({ status: 'success' });
    // The last failure's message goes when the operation has succeeded.
    expect(await rowOf('op-pass-1')).to.include({ status: 'synced', error: null });
    expect((await rowOf('op-pass-1'))?.retryCount).to.be.within(1, 2);
  });

  for (const [name, sqlState] of [
    ['Deadlock', '40P01'],
    ['Serialization', '40001'],
    ['LockTimeout', '55P03'],
  ] as const) {
    it(`a transient fault (${sqlState}) is tried again without using up retries`, async () => {
      await refuseTitles(system.database, name, sqlState, 5);
      const answer = await system.push([create(`${name}-1`, name), create(`${name}-2`, 'Fine')]);
      expect(answer.body.summary).to.include({ success: 2 });
      expect(await rowOf(`op-${name}-1`)).to.include({ status: 'synced', retryCount: 0 });
    });
  }

  it('while it is tried again the operation says pending, when it was tried and why', async () => {
    const allow = await refuseTitles(system.database, 'Waiting', '40001');
    const answer = await system.push([create('wait-1', 'Waiting')], {}, { prefer: 'wait=1' });
    expect(answer.status).to.equal(202);
    expect((await rowOf('op-wait-1'))?.lastAttemptedAt).to.be.a('string');
    const task = await system.request('GET', '/api/tasks/wait-1');
    expect(task.status).to.equal(404);
    await allow();
    const done = await eventually(async () => {
      const now = await system.request('GET', `/api/sync/batches/${answer.body.batch_id}`);
      return now.body.status === 'completed' && now;
    });
    expect(done.body.summary).to.include({ success: 1 });
  });

  it('a task shows that its latest operation failed, until a later one succeeds', async () => {
    await system.push([create('show-1', 'Fine')]);
    const allow = await refuseTitles(system.database, 'Broken', '22023');
    await system.push([
      { client_id: 'phone', op_id: 'show-2', operation: 'update', data: { id: 'show-1', title: 'Broken' } },
    ]);
    expect((await system.request('GET', '/api/tasks/show-1')).body).to.include({ sync_status: 'error', title: 'Fine' });
    await allow();
    await system.push([
      { client_id: 'phone', op_id: 'show-3', operation: 'update', data: { id: 'show-1', title: 'Better' } },
    ]);
    expect((await system.request('GET', '/api/tasks/show-1')).body).to.include({
      sync_status: 'synced',
      title: 'Better',
    });
  });

  /** The queue of a system, to look at and to put jobs into. */
  async function openQueue({ config }: System) {
    const logger = createLogger({ level: 'error', process: 'test' });
    const limits = { timeoutMs: 5_000, sharedJobSize: 500 };
    const producer = createProducer(await openQueueAddress(config.queue, config.database.url ?? ''), logger, limits);
    await producer.queue.waitUntilReady();
    return producer;
  }

  it('the job of a batch with failed operations fails, and says how many and which', async () => {
    await refuseTitles(system.database, 'Reported', '22023');
    const answer = await system.push([create('rep-1', 'Reported'), create('rep-2', 'Fine')]);
    const producer = await openQueue(system);
    const job = await eventually(async () => {
      const jobs = await producer.queue.getFailed();
      return jobs.find((each) => each.data.batchId === answer.body.batch_id);
    });
    expect(job.failedReason).to.match(
      /^1 of 2 operations failed, first \d+: GET \/api\/sync\/queue\?status=failed says why$/,
    );
    expect(job.data).to.include({ workspaceId: 'default', count: 2, part: 1, parts: 1 });
    await producer.close();
  });

  describe('in a job that batches share', () => {
    let waiting: System;
    let producer: Producer;
    beforeEach(async () => {
      waiting = await startSystem(import.meta.url, { workers: 0 });
      producer = await openQueue(waiting);
    });
    afterEach(async () => {
      await producer.close();
      await waiting.stop();
    });

    /** Accepts a batch for each title, and puts one job for all of them into the queue. @returns the batches' ids */
    async function share(titles: string[]): Promise<string[]> {
      for (const title of titles) {
        await waiting.push([create(`shared ${title}`, title)], {}, { prefer: 'respond-async' });
      }
      const ids = await waiting.database.select<{ id: number; batchId: string }>(
        'SELECT id, batch_id AS "batchId" FROM sync_queue ORDER BY id',
        [],
      );
      await producer.queue.drain();
      await producer.enqueue(ids.flatMap(({ id, batchId }) => jobsOfBatch('default', batchId, [id], 50)));
      expect((await producer.depths()).waiting).to.equal(1);
      return ids.map(({ batchId }) => batchId);
    }

    const states = () =>
      waiting.database.select<{ status: string; retryCount: number }>(
        'SELECT status, retry_count AS "retryCount" FROM sync_queue ORDER BY id',
        [],
      );

    it('are more than one of the usual size where they come together', async () => {
      const batches = Array.from({ length: 20 }, (_, batch) =>
        Array.from({ length: 50 }, (__, index) => create(`many ${batch}-${index}`, 'Fine')),
      );
      await Promise.all(batches.map((items) => waiting.push(items, {}, { prefer: 'respond-async' })));
      const counts = (await producer.queue.getWaiting()).map(({ data }) => data.count);
      expect(counts.reduce((sum, count) => sum + count, 0)).to.equal(1_000);
      expect(Math.max(...counts))
        .to.be.above(50)
        .and.at.most(500);
    });

    it('stand in Bull Board as so many batches', async () => {
      await share(['One', 'Two', 'Three']);
      const path = '/admin/queues/api/queues?activeQueue=sync&status=waiting&page=1&jobsPerPage=20';
      const { body } = await waiting.request('GET', path);
      const names = body.queues.flatMap(({ jobs }: { jobs: { name: string }[] }) => jobs.map(({ name }) => name));
      expect(names).to.deep.equal(['3 batches · workspace default · 3 operations · 0 attempts']);
    });

    it('fail alone; the job fails for them, and names the batch of the first', async () => {
      await refuseTitles(waiting.database, 'Shared', '22023');
      const batchIds = await share(['Fine', 'Shared', 'Fine too']);
      await waiting.startWorker();
      const job = await eventually(async () => (await producer.queue.getFailed())[0]);
      expect(job.failedReason).to.match(
        new RegExp(`^1 of 3 operations failed, first \\d+ \\(batch ${batchIds[1]}\\): GET `),
      );
      expect(job.data.batches?.map(({ batchId }) => batchId)).to.deep.equal(batchIds);
      expect((await states()).map(({ status }) => status)).to.deep.equal(['synced', 'failed', 'synced']);
    });

    it('are tried again when the job comes back for them', async () => {
      // Not in the retry policy's tables: counted, and tried again. It breaks the three, the first two, the last two, and
      // itself: then it is the culprit.
      await refuseTitles(waiting.database, 'Later', 'XX000', 4);
      await share(['Fine', 'Later', 'Fine too']);
      await waiting.startWorker();
      await eventually(async () => (await states()).every(({ status }) => status === 'synced'));
      expect((await states()).map(({ retryCount }) => retryCount)).to.deep.equal([0, 1, 0]);
      await eventually(async () => {
        const { waiting, active, delayed, failed } = await producer.depths();
        return waiting + active + delayed + failed === 0;
      });
    });
  });

  it('every batch is stamped when its operations are settled, failed or not', async () => {
    await eventually(async () => {
      const [open] = await system.database.select<{ count: number }>(
        'SELECT count(*) FROM sync_batches WHERE finished_at IS NULL',
        [],
      );
      return open?.count === 0;
    });
  });

  it('seq has no gaps and as many places as there were effects (I3)', async () => {
    const [counts] = await system.database.select<{ effects: number; highest: number; different: number; seq: number }>(
      `SELECT count(seq) AS effects, max(seq) AS highest, count(DISTINCT seq) AS different,
         (SELECT seq FROM workspaces WHERE id = 'default') AS seq FROM sync_queue WHERE seq IS NOT NULL`,
      [],
    );
    expect(counts?.highest).to.equal(counts?.effects);
    expect(counts?.different).to.equal(counts?.effects);
    expect(counts?.seq).to.equal(counts?.effects);
  });
});
