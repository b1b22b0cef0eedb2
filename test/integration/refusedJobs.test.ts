// I1, I8: a Redis that answers reads and refuses writes is noticed, named and done without; one that became a replica is left for the master.
import { mkdirSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { testBackend } from '../support/environment.js';
import { metricValue, scrape } from '../support/metrics.js';
import { createItem, newId } from '../support/operations.js';
import { startTestRedis, type TestRedis } from '../support/redis.js';
import { eventually, type System, startSystem } from '../support/system.js';

/** Nothing is found for its age: what is applied was applied because the queue is known to take no jobs. */
const SETTINGS = { RECONCILE_AFTER_MS: '600000', RECONCILE_INTERVAL_MS: '100', RECONCILE_DIRECT_AFTER_MS: '50' };

interface Refusal {
  begin(admin: Redis): Promise<unknown>;
  end(admin: Redis): Promise<unknown>;
}

const REFUSALS: Record<string, Refusal> = {
  READONLY: {
    begin: (admin) => admin.replicaof('127.0.0.1', 1),
    end: (admin) => admin.replicaof('NO', 'ONE'),
  },
  NOREPLICAS: {
    begin: (admin) => admin.config('SET', 'min-replicas-to-write', '1'),
    end: (admin) => admin.config('SET', 'min-replicas-to-write', '0'),
  },
  MISCONF: {
    async begin(admin) {
      const [, folder] = (await admin.config('GET', 'dir')) as [string, string];
      // A file cannot take the place of a folder: saving fails, also for root.
      mkdirSync(join(folder, 'dump.rdb', 'full'), { recursive: true });
      await admin.config('SET', 'save', '3600 1000000');
      await admin.bgsave();
      await eventually(async () => (await admin.info('persistence')).includes('rdb_last_bgsave_status:err'));
    },
    end: (admin) => admin.config('SET', 'stop-writes-on-bgsave-error', 'no'),
  },
  OOM: {
    begin: (admin) => admin.config('SET', 'maxmemory', '1mb'),
    end: (admin) => admin.config('SET', 'maxmemory', '0'),
  },
  NOPERM: {
    begin: (admin) => admin.acl('SETUSER', 'app', '-@write'),
    end: (admin) => admin.acl('SETUSER', 'app', '+@all'),
  },
};

const readHealth = async (system: System) => (await system.request('GET', '/health')).body;
const pushOne = (system: System) => system.push([createItem(newId('task'))], {}, { prefer: 'wait=20' });
const stateOf = async (system: System, state: string) => {
  const health = await readHealth(system);
  return health.queue === state && health;
};

if (testBackend === 'redis') {
  describe('a Redis that refuses writes', () => {
    for (const [code, refusal] of Object.entries(REFUSALS)) {
      it(`with ${code} shows in /health and the metrics until it takes them; batches are applied meanwhile`, async () => {
        const redis = await startTestRedis();
        const admin = new Redis(redis.url);
        await admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all');
        const { host } = new URL(redis.url);
        const system = await startSystem(import.meta.url, { redisUrl: `redis://app:secret@${host}`, env: SETTINGS });
        try {
          await eventually(() => stateOf(system, 'up'));
          expect((await pushOne(system)).status).to.equal(200);

          await refusal.begin(admin);
          const state = code === 'OOM' ? 'full' : 'refusing';
          const health = await eventually(() => stateOf(system, state));
          expect(health).to.include({ ok: false, status: 'degraded', database: 'up' });
          if (code !== 'OOM') expect(health.message).to.include(`refuses jobs (${code})`);
          expect(metricValue(await scrape(system.url), 'task_sync_queue_refusing')).to.equal(1);
          for (let count = 0; count < 3; count += 1) {
            const pushed = await pushOne(system);
            expect(pushed.status).to.equal(200);
            expect(pushed.body.processed_items[0].status).to.equal('success');
            expect(await readHealth(system), 'it does not flap').to.include({ status: 'degraded', queue: state });
          }

          await refusal.end(admin);
          // Only a job shows that a right was given back.
          if (code === 'NOPERM') await pushOne(system);
          await eventually(() => stateOf(system, 'up'));
          await eventually(async () => metricValue(await scrape(system.url), 'task_sync_queue_refusing') === 0);
          expect((await pushOne(system)).status).to.equal(200);
        } finally {
          admin.disconnect();
          await system.stop();
          await redis.remove();
        }
      });
    }
  });

  describe('a failover of Redis that cuts no connection', () => {
    it('is followed: every connection leaves the replica, and jobs go to the master', async () => {
      const [first, second] = [await startTestRedis(), await startTestRedis()];
      const [old, master] = [new Redis(first.url), new Redis(second.url)];
      const address = await startAddress(first);
      const { password } = new URL(first.url);
      await master.config('SET', 'requirepass', password);
      const env = { ...SETTINGS, RECONCILE_DIRECT_AFTER_MS: '600000' };
      const system = await startSystem(import.meta.url, { redisUrl: address.url(password), env });
      try {
        await eventually(() => stateOf(system, 'up'));
        expect((await pushOne(system)).status).to.equal(200);

        address.leadTo(second);
        await old.config('SET', 'masterauth', password);
        await old.replicaof('127.0.0.1', Number(new URL(second.url).port));
        const ofOurs = async (redis: Redis) =>
          String(await redis.client('LIST'))
            .split('\n')
            .filter((line) => / name=task-sync/.test(line)).length;
        const ofThem = await ofOurs(old);
        // Told by the first push, which its own job cannot reach.
        await system.push([createItem(newId('task'))], {}, { prefer: 'respond-async' });
        await eventually(async () => (await ofOurs(old)) === 0);
        await eventually(async () => (await ofOurs(master)) === ofThem);
        await eventually(() => stateOf(system, 'up'));
        const pushed = await pushOne(system);
        expect(pushed.status).to.equal(200);
        expect(pushed.body.processed_items[0].status).to.equal('success');
      } finally {
        old.disconnect();
        master.disconnect();
        await system.stop();
        await address.close();
        await first.remove();
        await second.remove();
      }
    });
  });
}

/** An address that leads to one server and later to another; what is connected stays. */
async function startAddress(redis: TestRedis) {
  let port = Number(new URL(redis.url).port);
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from);
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return {
    url: (password: string) => `redis://:${password}@127.0.0.1:${bound.port}`,
    leadTo: (next: TestRedis) => {
      port = Number(new URL(next.url).port);
    },
    close: () => {
      for (const socket of open) socket.destroy();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
