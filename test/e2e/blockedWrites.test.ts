// I5: a worker that is ended while its writes wait for somebody's lock was not ended by its operations, however often that happens.
import { expect } from 'chai';
import { requireSharedRedis, testBackend } from '../support/environment.js';
import { createItem, newId, updateItem } from '../support/operations.js';
import { startProcess, type TestProcess } from '../support/processes.js';
import { uniquePrefix } from '../support/redis.js';
import { eventually, type System, startSystem } from '../support/system.js';

/** One start among others, three alone: the next worker would give the first operation up. */
const KILLS = 4;
const async = { prefer: 'respond-async' };

describe('workers that are killed while their writes are blocked', () => {
  let system: System;
  let env: Record<string, string>;
  before(async () => {
    const queue: Record<string, string> =
      testBackend === 'redis' ? { REDIS_URL: requireSharedRedis(), QUEUE_PREFIX: uniquePrefix() } : {};
    const reconciling = { RECONCILE_AFTER_MS: '500', RECONCILE_DIRECT_AFTER_MS: '500', RECONCILE_INTERVAL_MS: '100' };
    // Longer than a worker needs to be killed: the lock is not to be given up before.
    const limits = { DATABASE_LOCK_TIMEOUT_MS: '20000', DATABASE_STATEMENT_TIMEOUT_MS: '25000' };
    env = { NODE_ENV: 'test', ...queue, ...reconciling, ...limits };
    system = await startSystem(import.meta.url, { workers: 0, env });
    env.DATABASE_URL = system.config.database.url ?? '';
  });
  after(() => system.stop());

  const startWorker = () => startProcess({ name: 'worker', entry: 'workers/main.js', env });

  /** Sessions of workers that wait for a lock of somebody who is no worker. */
  const BLOCKED = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'task-sync worker%'
    AND wait_event_type = 'Lock' AND NOT pg_blocking_pids(pid) && ARRAY(
      SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'task-sync worker%')`;

  async function killBlocked(worker: TestProcess) {
    await eventually(async () => (await system.database.select(BLOCKED, [])).length > 0, 30_000);
    await worker.kill();
    // Its sessions would wait on, and hold the workspace's lock.
    await eventually(async () => {
      const rest = await system.database.select(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE 'task-sync worker%'`,
        [],
      );
      return rest.length === 0;
    });
  }

  for (const [what, lock] of [
    ['the tasks', 'LOCK TABLE tasks IN SHARE ROW EXCLUSIVE MODE'],
    ['the log', 'LOCK TABLE sync_queue IN SHARE ROW EXCLUSIVE MODE'],
    ['one task', "SELECT id FROM tasks WHERE id = 'locked' FOR UPDATE"],
  ] as const) {
    it(`fail nothing: ${what}`, async function () {
      this.timeout(180_000);
      await system.request('POST', '/api/tasks', { id: 'locked', title: 'Locked' });
      const items = [updateItem('locked', { title: 'Innocent' }), createItem(newId('a')), createItem(newId('b'))];
      await system.push(items, {}, async);
      await system.database.select("UPDATE sync_queue SET created_at = created_at - interval '1 minute'", []);
      await system.database.transaction(async (transaction) => {
        // Four workers have to start and be killed while it holds the lock.
        await system.database.select('SET LOCAL idle_in_transaction_session_timeout = 0', [], transaction);
        await system.database.select(lock, [], transaction);
        for (let kill = 0; kill < KILLS; kill += 1) await killBlocked(startWorker());
      });
      const last = startWorker();
      const opIds = items.map((item) => item.op_id);
      const settled = await eventually(async () => {
        const rows = await system.database.select<{ status: string; error: string | null }>(
          "SELECT status, error FROM sync_queue WHERE op_id = ANY($1::text[]) AND status <> 'pending' ORDER BY id",
          [opIds],
        );
        return rows.length === opIds.length && rows;
      }, 30_000);
      await last.stop();
      expect(settled).to.deep.equal(Array(3).fill({ status: 'synced', error: null }));
    });
  }
});
