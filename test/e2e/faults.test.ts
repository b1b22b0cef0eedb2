// What the product is for: processes are killed, Redis is wiped and stopped, everything is restarted, under load. Afterwards every
// accepted operation is settled, nothing is applied twice, and the state is the pure merge of what was accepted (I1, I2, I3, I4).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { loadConfig } from '../../config/index.js';
import { createLogger } from '../../src/logger.js';
import { migrateDatabase } from '../../src/migrateDatabase.js';
import { requireSharedRedis, testBackend } from '../support/environment.js';
import { createTestFolder } from '../support/folders.js';
import { readChildren, startLauncher, waitForBanner } from '../support/launcher.js';
import { expectMergeOf, makeOperations, type SentItem } from '../support/oracle.js';
import { freePort } from '../support/ports.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { startProcess, type TestProcess } from '../support/processes.js';
import { startTestRedis, uniquePrefix } from '../support/redis.js';
import { eventually } from '../support/system.js';

const COUNT = 2_000;
const BATCH = 100;

interface Cluster {
  database: TestDatabase;
  url: string;
  api: TestProcess;
  worker: TestProcess;
  startWorker(): Promise<TestProcess>;
  startApi(): Promise<TestProcess>;
  stop(): Promise<void>;
}

async function startCluster(redisUrl?: string): Promise<Cluster> {
  const database = await createTestDatabase(import.meta.url);
  const port = await freePort();
  const env = {
    DATABASE_URL: database.url,
    PORT: String(port),
    NODE_ENV: 'test',
    RECONCILE_AFTER_MS: '1000',
    RECONCILE_DIRECT_AFTER_MS: '1000',
    RECONCILE_INTERVAL_MS: '250',
    ...(testBackend === 'redis' ? { REDIS_URL: redisUrl ?? requireSharedRedis(), QUEUE_PREFIX: uniquePrefix() } : {}),
  };
  await migrateDatabase(database.url, loadConfig(env), createLogger({ level: 'error', process: 'test' }));
  const url = `http://127.0.0.1:${port}`;
  const startWorker = async () => {
    const worker = startProcess({ name: 'worker', entry: 'workers/main.js', env });
    await worker.waitForOutput(/worker is running/);
    return worker;
  };
  const startApi = async () => {
    const api = startProcess({ name: 'api', entry: 'src/api/main.js', env });
    await api.waitForHttp(`${url}/health/ready`);
    return api;
  };
  const cluster: Cluster = {
    database,
    url,
    api: await startApi(),
    worker: await startWorker(),
    startWorker,
    startApi,
    async stop() {
      await Promise.all([cluster.api.stop(), cluster.worker.stop()]);
      await database.drop();
    },
  };
  return cluster;
}

async function getJson(url: string): Promise<Record<string, unknown>> {
  const response = await fetch(url, { headers: { connection: 'close' } });
  return JSON.parse(await response.text());
}

async function send(url: string, items: SentItem[], prefer: string): Promise<number> {
  const response = await fetch(`${url}/api/sync/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close', prefer },
    body: JSON.stringify({ items }),
  });
  await response.text();
  return response.status;
}

/** Pushes all operations in order, batch by batch; `between` runs after each batch with its number. */
async function pushAll(
  url: string,
  items: SentItem[],
  between: (batch: number) => Promise<void> | void = () => undefined,
) {
  for (let start = 0; start < items.length; start += BATCH) {
    expect(await send(url, items.slice(start, start + BATCH), 'respond-async')).to.be.oneOf([200, 202]);
    await between(start / BATCH);
  }
}

async function expectSettled(cluster: { url: string; database: { url: string } }, items: SentItem[]) {
  await eventually(
    async () => {
      const status = await getJson(`${cluster.url}/api/sync/status`);
      return status.pending === 0 && status.synced === items.length;
    },
    45_000,
    200,
  );
  await expectMergeOf(cluster.database.url, items);
}

describe('nothing is lost', () => {
  it('when the worker is killed in the middle of 2,000 operations, three times', async () => {
    const cluster = await startCluster();
    const items = makeOperations(1, COUNT);
    await pushAll(cluster.url, items, async (batch) => {
      if (batch % 6 !== 3) return;
      await cluster.worker.kill();
      cluster.worker = await cluster.startWorker();
    });
    await expectSettled(cluster, items);
    await cluster.stop();
  });

  it('when the api is killed after accepting, and the device sends again', async () => {
    const cluster = await startCluster();
    const items = makeOperations(2, 400);
    await cluster.worker.kill();
    await pushAll(cluster.url, items);
    await cluster.api.kill();
    cluster.api = await cluster.startApi();
    await pushAll(cluster.url, items);
    cluster.worker = await cluster.startWorker();
    await expectSettled(cluster, items);
    await cluster.stop();
  });

  it('when everything gets SIGTERM under load: what was answered is kept, the rest comes after the restart', async () => {
    const cluster = await startCluster();
    const items = makeOperations(3, COUNT);
    let next = 0;
    const answers: number[] = [];
    const pushing = (async () => {
      for (; next < items.length; next += BATCH)
        answers.push(await send(cluster.url, items.slice(next, next + BATCH), 'wait=5'));
    })().catch(() => undefined);
    await eventually(() => next >= 500);
    const exits = await Promise.all([cluster.worker.stop(), cluster.api.stop()]);
    expect(exits.map((exit) => exit.code)).to.deep.equal([0, 0]);
    await pushing;
    expect(answers.every((status) => [200, 202].includes(status))).to.equal(true);
    cluster.api = await cluster.startApi();
    cluster.worker = await cluster.startWorker();
    // The batch that was cut off may have been stored or not: sending it again is right in both cases (I2).
    await pushAll(cluster.url, items.slice(next));
    await expectSettled(cluster, items);
    await cluster.stop();
  });

  it('when everything of `npm start` is killed at once in the middle of 2,000 operations, and started again', async () => {
    const folder = createTestFolder('killed');
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const items = makeOperations(7, COUNT);
    const start = async () => {
      const launcher = startLauncher({ dataDir: folder.path, port, backend: testBackend });
      await waitForBanner(launcher);
      return launcher;
    };
    const first = await start();
    await pushAll(url, items.slice(0, 1_500));
    const children = readChildren(folder.path).map((child) => child.pid);
    await first.kill();
    for (const pid of children) process.kill(pid, 'SIGKILL');
    const second = await start();
    await pushAll(url, items.slice(1_500));
    const [, databasePort] = await second.waitForOutput(/PostgreSQL [\d.]+ on 127\.0\.0\.1:(\d+)/);
    const password = readFileSync(join(folder.path, 'postgres.password'), 'utf8').trim();
    await expectSettled(
      { url, database: { url: `postgres://task_sync:${password}@127.0.0.1:${databasePort}/task_sync` } },
      items,
    );
    expect((await second.stop('SIGINT')).code).to.equal(0);
    await folder.remove();
  });

  if (testBackend !== 'redis') return;

  it('when Redis is wiped again and again', async () => {
    const redis = await startTestRedis();
    const cluster = await startCluster(redis.url);
    const items = makeOperations(4, COUNT);
    const admin = new Redis(redis.url);
    await pushAll(cluster.url, items, async (batch) => {
      if (batch % 4 === 2) await admin.flushall();
    });
    await admin.flushall();
    admin.disconnect();
    await expectSettled(cluster, items);
    await cluster.stop();
    await redis.remove();
  });

  it('when Redis is stopped for 10 s: batches are accepted and applied meanwhile, and jobs flow again afterwards', async () => {
    const redis = await startTestRedis();
    const cluster = await startCluster(redis.url);
    const items = makeOperations(5, COUNT);
    const [before, during, after] = [items.slice(0, 500), items.slice(500, 1_500), items.slice(1_500)];
    await pushAll(cluster.url, before);
    await redis.stop();
    const stoppedAt = Date.now();
    await pushAll(cluster.url, during);
    await expectSettled(cluster, [...before, ...during]);
    await sleep(Math.max(0, stoppedAt + 10_000 - Date.now()));
    redis.start();
    await eventually(
      async () => {
        const health = await getJson(`${cluster.url}/health`);
        return health.queue === 'up' && health.workers === 1;
      },
      20_000,
      200,
    );
    // Answered with its results: a worker took its job, the reconciler would not have looked at it yet.
    expect(await send(cluster.url, after.slice(0, BATCH), 'wait=20')).to.equal(200);
    await pushAll(cluster.url, after.slice(BATCH));
    await expectSettled(cluster, items);
    await cluster.stop();
    await redis.remove();
  });

  it('when Redis was never there: batches are accepted and applied, and both processes stop in order', async () => {
    const cluster = await startCluster(`redis://127.0.0.1:${await freePort()}`);
    const items = makeOperations(6, 300);
    await pushAll(cluster.url, items);
    await expectSettled(cluster, items);
    const exits = await Promise.all([cluster.api.stop(), cluster.worker.stop()]);
    expect(exits.map((exit) => exit.code)).to.deep.equal([0, 0]);
    await cluster.database.drop();
  });
});
