// Compaction as a scheduled job: one run an interval however many workers there are, a schedule that comes back, and writers that do
// not notice.
import { Queue } from 'bullmq';
import { expect } from 'chai';
import { createLogger } from '../../src/logger.js';
import { connectProducer, postgresPool } from '../../src/queue/backend.js';
import { MAINTENANCE_QUEUE_NAME, startMaintenance } from '../../src/queue/maintenance.js';
import { countStubs, KEEP_ALL, readFloor, runCompaction } from '../support/compaction.js';
import { createItem, deleteItem, newId, updateItem } from '../support/operations.js';
import { openQueueAddress } from '../support/queueAddress.js';
import { eventually, type System, startSystem } from '../support/system.js';

const logger = createLogger({ level: 'error', process: 'test' });

/** Where the queue of a system lives. */
const addressOf = ({ config }: System) => openQueueAddress(config.queue, config.database.url ?? '');

/** Removes everything from the maintenance queue, its schedule included. */
async function obliterate(system: System) {
  const address = await addressOf(system);
  const redis = address.kind === 'redis' ? connectProducer(address) : undefined;
  const connection = redis ?? (address.kind === 'postgres' ? postgresPool(address, 1) : {});
  const prefix = address.kind === 'redis' ? { prefix: address.prefix } : {};
  const queue = new Queue(MAINTENANCE_QUEUE_NAME, { connection, ...prefix });
  await queue.waitUntilReady();
  await queue.obliterate({ force: true });
  const schedules = await queue.getJobSchedulersCount();
  await queue.close();
  redis?.disconnect();
  return schedules;
}

describe('scheduled compaction', () => {
  it('runs in the workers, also after the queue has lost its schedule', async () => {
    const env = {
      COMPACTION_INTERVAL_MS: '300',
      TOMBSTONE_RETENTION_DAYS: '1',
      RECONCILE_INTERVAL_MS: '50',
    };
    const system = await startSystem(import.meta.url, { workers: 2, env });
    const deleteOne = async () => {
      const id = newId('task');
      await system.push([createItem(id), deleteItem(id)]);
      await system.database.select(
        "UPDATE tasks SET last_synced_at = last_synced_at - interval '2 days' WHERE id = $1",
        [id],
      );
    };
    await deleteOne();
    await eventually(async () => (await countStubs(system)) === 1);
    expect(await obliterate(system)).to.equal(0);
    await deleteOne();
    await eventually(async () => (await countStubs(system)) === 2);
    await system.stop();
  });

  it('runs once an interval, however many workers there are', async () => {
    const system = await startSystem(import.meta.url, { workers: 0 });
    const address = await addressOf(system);
    const intervalMs = 400;
    const workerCount = 4;
    const runs: number[] = [];
    let running = 0;
    let mostAtOnce = 0;
    const run = async () => {
      running += 1;
      // At the start each worker may find no schedule yet, and make a run of its own.
      if (runs.length >= 2 * workerCount) mostAtOnce = Math.max(mostAtOnce, running);
      runs.push(Date.now());
      await system.database.select('SELECT pg_sleep(0.05)', []);
      running -= 1;
    };
    const startedMs = Date.now();
    const workers = Array.from({ length: workerCount }, () =>
      startMaintenance(address, run, { intervalMs, timeoutMs: 5_000, logger }),
    );
    await eventually(() => runs.length >= 4 * workerCount);
    const intervals = (Date.now() - startedMs) / intervalMs;
    await Promise.all(workers.map((worker) => worker.close()));
    // Some more than one an interval: at the start, where workers that start together find no schedule yet, and after one that came late.
    // Without a common schedule there would be four.
    expect(runs.length).to.be.at.most(2 * Math.ceil(intervals));
    expect(mostAtOnce).to.be.within(1, 2);
    await system.stop();
  });

  it('lets writers pass: no error, no lost update, and the floor only rises', async () => {
    const system = await startSystem(import.meta.url, { workers: 2, env: KEEP_ALL });
    const rounds = 6;
    let writersLeft = 4;
    const write = async (writer: number) => {
      const ids = Array.from({ length: 20 }, (_, index) => `w${writer}-${index}`);
      const push = async (items: ReturnType<typeof createItem>[]) => {
        const answer = await system.push(items, {}, { prefer: 'wait=30' });
        expect(answer.body.summary, JSON.stringify(answer.body).slice(0, 500)).to.include({ success: ids.length });
      };
      for (let round = 1; round <= rounds; round += 1) {
        await push(ids.map((id) => createItem(id, { title: `created ${round}` })));
        await push(ids.map((id) => updateItem(id, { title: `round ${round}` })));
        if (round < rounds) await push(ids.map((id) => deleteItem(id)));
      }
      writersLeft -= 1;
    };
    const floors: number[] = [];
    const compactAll = async () => {
      let stubbed = 0;
      while (writersLeft > 0) {
        // Every tombstone at once: what happens in months happens in each round.
        const run = await runCompaction(system, () => Date.now() + 1_000, { tombstoneDays: 0, chunk: 7 });
        stubbed += run.stubbed;
        floors.push(await readFloor(system));
      }
      return stubbed;
    };
    const [stubbed] = await Promise.all([compactAll(), ...[0, 1, 2, 3].map(write)]);
    expect(stubbed).to.be.greaterThan(0);
    expect(floors).to.deep.equal([...floors].sort((a, b) => a - b));
    const tasks = (await system.request('GET', '/api/tasks?limit=1000')).body;
    expect(tasks).to.have.length(80);
    for (const task of tasks) expect(task).to.include({ title: `round ${rounds}`, description: null });
    await system.stop();
  });
});
