// Parts that are full or gone, on real processes: Redis at its maxmemory, PostgreSQL without a free connection, and scrapes meanwhile.
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { startProcesses } from '../support/cluster.js';
import { requireDatabaseServer, testBackend } from '../support/environment.js';
import { metricValue, scrape } from '../support/metrics.js';
import { createItem, newId } from '../support/operations.js';
import { freePort } from '../support/ports.js';
import { queryDatabase } from '../support/postgres.js';
import { startProcess } from '../support/processes.js';
import { startTestRedis } from '../support/redis.js';
import { eventually } from '../support/system.js';

/** What a 503 may take, and how soon it has to work again: a second and two are promised, the rest is for a busy test machine. */
const REFUSED_WITHIN_MS = 3_000;
const BACK_WITHIN_MS = 4_000;

// biome-ignore lint/suspicious/noExplicitAny: tests read answers freely
type Body = any;

async function send(url: string, prefer = 'respond-async') {
  const startedAt = performance.now();
  const response = await fetch(`${url}/api/sync/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close', prefer },
    body: JSON.stringify({ items: [createItem(newId('task'))] }),
  });
  const body: Body = await response.json();
  const retryAfter = response.headers.get('retry-after');
  return { status: response.status, retryAfter, body, elapsedMs: performance.now() - startedAt };
}

const readHealth = async (url: string): Promise<Body> =>
  (await fetch(`${url}/health`, { headers: { connection: 'close' } })).json();

if (testBackend === 'redis') {
  describe('a Redis whose memory is full', () => {
    it('shows in /health and the metrics; batches are accepted and applied; more memory ends it', async () => {
      const redis = await startTestRedis();
      const port = await freePort();
      const workerUrl = `http://127.0.0.1:${port}`;
      const env = { WORKER_HEALTH_PORT: String(port), RECONCILE_AFTER_MS: '500', RECONCILE_DIRECT_AFTER_MS: '500' };
      const cluster = await startProcesses(import.meta.url, { apis: 1, workers: 1, redisUrl: redis.url, env });
      const admin = new Redis(redis.url);
      try {
        const [url = ''] = cluster.urls;
        expect((await send(url, 'wait=20')).status).to.equal(200);
        await eventually(async () => (await readHealth(url)).status === 'ok');

        await admin.config('SET', 'maxmemory', '1mb');
        const full = await eventually(async () => {
          const health = await readHealth(url);
          return health.queue === 'full' && health;
        });
        expect(full).to.include({ ok: false, status: 'degraded', database: 'up', workers: 1 });
        expect(full.message)
          .to.match(/memory is full/)
          .and.to.match(/maxmemory/);

        const pushed = await send(url, 'wait=20');
        expect(pushed.status).to.equal(200);
        expect(pushed.body.processed_items[0].status).to.equal('success');
        for (const scraped of [url, workerUrl]) {
          expect(metricValue(await scrape(scraped), 'task_sync_queue_full'), scraped).to.equal(1);
        }
        const applied = { action: 'applied' };
        const worker = await scrape(workerUrl);
        expect(metricValue(worker, 'task_sync_reconciled_workspaces_total', applied)).to.be.at.least(1);

        await admin.config('SET', 'maxmemory', '0');
        await eventually(async () => (await readHealth(url)).status === 'ok');
        expect((await send(url, 'wait=20')).status).to.equal(200);
      } finally {
        admin.disconnect();
        await cluster.stop();
        await redis.remove();
      }
    });

    it('does not hold up a scrape, nor does one that is gone', async () => {
      const redis = await startTestRedis();
      const cluster = await startProcesses(import.meta.url, { apis: 1, workers: 0, redisUrl: redis.url });
      try {
        const [url = ''] = cluster.urls;
        await eventually(async () => metricValue(await scrape(url), 'task_sync_up', { dependency: 'queue' }) === 1);
        await redis.stop();
        const samples = await eventually(async () => {
          const scraped = await scrape(url);
          return metricValue(scraped, 'task_sync_up', { dependency: 'queue' }) === 0 && scraped;
        });
        expect(metricValue(samples, 'task_sync_up', { dependency: 'database' })).to.equal(1);
        expect(metricValue(samples, 'task_sync_pending_operations')).to.equal(0);
      } finally {
        await cluster.stop();
        await redis.remove();
      }
    });
  });
}

describe('a PostgreSQL that gives no connection', () => {
  it('is answered 503 at once, and works again at once; scrapes answer meanwhile', async () => {
    const cluster = await startProcesses(import.meta.url, { apis: 0, workers: 0 });
    const role = await createRole(cluster.database.url);
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const env = { ...cluster.env, DATABASE_URL: role.url, PORT: String(port) };
    const api = startProcess({ name: 'api', entry: 'src/api/main.js', env });
    try {
      await api.waitForHttp(`${url}/health/ready`);
      expect((await send(url)).status).to.equal(202);
      await role.setLimit(0);
      await eventually(async () => (await send(url)).status === 503);
      for (const each of await Promise.all(Array.from({ length: 20 }, () => send(url)))) {
        expect(each.status).to.equal(503);
        expect(each.retryAfter).to.match(/^[1-5]$/);
        expect(each.body.code).to.be.oneOf(['unavailable', 'overloaded']);
        expect(each.elapsedMs).to.be.below(REFUSED_WITHIN_MS);
      }
      const samples = await scrape(url);
      expect(metricValue(samples, 'task_sync_up', { dependency: 'database' })).to.equal(0);
      expect(metricValue(samples, 'task_sync_pending_operations')).to.equal(undefined);

      await role.setLimit(-1);
      const backAt = performance.now();
      await eventually(async () => (await send(url)).status === 202);
      expect(performance.now() - backAt).to.be.below(BACK_WITHIN_MS);
    } finally {
      await api.stop();
      await cluster.stop();
      await role.drop();
    }
  });
});

/**
 * A role of its own for the product, because a limit on connections does not hold for superusers. Beyond the limit the server refuses
 * with 53300, as it does when max_connections is used up.
 */
async function createRole(databaseUrl: string) {
  const name = `limited_${randomBytes(5).toString('hex')}`;
  const password = randomBytes(16).toString('hex');
  const run = (statement: string) => queryDatabase(databaseUrl, statement);
  await run(`CREATE ROLE ${name} LOGIN PASSWORD '${password}'`);
  await run(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${name}`);
  await run(`GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${name}`);
  await run(`GRANT pg_read_all_data, pg_write_all_data TO ${name}`);
  const url = new URL(databaseUrl);
  url.username = name;
  url.password = password;
  return {
    url: url.href,
    /** -1: none. Connections above it are ended. */
    async setLimit(connections: number) {
      await run(`ALTER ROLE ${name} CONNECTION LIMIT ${connections}`);
      if (connections === 0)
        await run(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${name}'`);
    },
    drop: () => queryDatabase(requireDatabaseServer(), `DROP ROLE IF EXISTS ${name}`),
  };
}
