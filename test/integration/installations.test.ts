// Several installations on one Redis, and a database that becomes another one under running processes: a queue, its channels and its workers belong
// to one installation, and a number that was heard is a reason to look and no more (I12).
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { createLogger } from '../../src/logger.js';
import { removeAbandoned } from '../../src/queue/abandoned.js';
import { createWakeUpPublisher } from '../../src/queue/wakeUps.js';
import { readIncarnation } from '../../src/storage/readChanges.js';
import { forgetCleanup, registerCleanup } from '../support/cleanup.js';
import { requireSharedRedis, testBackend } from '../support/environment.js';
import { openEventStream, type StreamEvent } from '../support/eventStream.js';
import { createItem } from '../support/operations.js';
import { openQueueAddress } from '../support/queueAddress.js';
import { uniquePrefix } from '../support/redis.js';
import { onStatement } from '../support/statements.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { takeBackup } from '../support/timeLine.js';

const logger = createLogger({ level: 'error', process: 'test' });
/** Only a job brings an operation to its end within the time of a test. */
const BY_JOBS_ALONE = { RECONCILE_AFTER_MS: '3600000', RECONCILE_DIRECT_AFTER_MS: '3600000' };
const ids = (label: string, count: number) => Array.from({ length: count }, (_, index) => `${label}-${index}`);

async function write(system: System, ...taskIds: string[]) {
  const answer = await system.push(
    taskIds.map((id) => createItem(id)),
    {},
    { prefer: 'wait=30' },
  );
  expect(answer.status).to.equal(200);
  expect(answer.body.summary).to.include({ success: taskIds.length });
}

async function openStream(system: System) {
  const brought: StreamEvent[] = [];
  const stream = openEventStream(`${system.url}/api/sync/stream`, (event) => brought.push(event));
  await eventually(() => stream.events.some(({ name }) => name === 'ready'));
  return { stream, idsOf: () => brought.map(({ data }) => data.task.id) };
}

const workersOf = async (system: System) => (await system.request('GET', '/health')).body.workers;

describe('two installations on one Redis', () => {
  before(function () {
    if (testBackend !== 'redis') this.skip();
  });

  for (const [how, numbers] of [
    ['with the same prefix and database number', [0, 0]],
    ['with the same prefix and different database numbers', [0, 1]],
  ] as const) {
    it(`${how} do not hear each other, nor take each other’s jobs, nor count each other’s workers`, async () => {
      const prefix = uniquePrefix();
      const start = (number: number, workers: number) => {
        const redisUrl = new URL(requireSharedRedis());
        redisUrl.pathname = `/${number}`;
        const env = { QUEUE_PREFIX: prefix, ...BY_JOBS_ALONE };
        return startSystem(import.meta.url, { workers, redisUrl: redisUrl.href, env });
      };
      const [one, other] = await Promise.all([start(numbers[0], 1), start(numbers[1], 2)]);
      const followed = await openStream(one);
      await write(other, ...ids('far-ahead', 100));
      for (let batch = 0; batch < 20; batch += 1) await write(one, `task-${batch}`);
      await eventually(() => followed.idsOf().length === 20);
      expect(followed.idsOf()).to.deep.equal(ids('task', 20));
      expect(await workersOf(one)).to.equal(1);
      expect(await workersOf(other)).to.equal(2);
      followed.stream.close();
      await Promise.all([one.stop(), other.stop()]);
    });
  }
});

describe('a wake-up with a seq that is far too high', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  it('neither silences a stream, nor keeps the process busy', async () => {
    const address = await openQueueAddress(system.config.queue, system.config.database.url ?? '');
    const { incarnation } = await readIncarnation(system.database);
    const publisher = createWakeUpPublisher(address, logger);
    const followed = await openStream(system);
    const { cursor } = (await system.request('GET', '/api/sync/changes')).body;
    const polling = system.request('GET', `/api/sync/changes?wait=30&cursor=${cursor}`);
    let reads = 0;
    const stop = onStatement((_client, text) => {
      if (/"headSeq"|string_agg/.test(text)) reads += 1;
    }, 'api');
    const lie = { workspaceId: 'default', seq: 1_000_000_000, settledUpTo: 1_000_000_000, batchIds: [], incarnation };
    const SENT = 200;
    for (let sent = 0; sent < SENT; sent += 1) {
      publisher.publish({ ...lie, seq: lie.seq + sent });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    stop();
    // A second and more of lies: looks after rests of 10 and 100 ms, twice as long each time.
    expect(reads)
      .to.be.greaterThan(0)
      .and.lessThan(SENT / 4);
    await write(system, ...ids('after', 3));
    await eventually(() => followed.idsOf().length === 3);
    expect(followed.idsOf()).to.deep.equal(ids('after', 3));
    expect((await polling).body.changes.length).to.be.greaterThan(0);
    followed.stream.close();
    await publisher.close();
  });
});

describe('a backup that is restored under running processes', () => {
  it('ends the streams, and all processes go on with the queue of the new database, without an operator', async () => {
    const system = await startSystem(import.meta.url, { workers: 2, env: BY_JOBS_ALONE });
    await write(system, ...ids('kept', 3));
    const backup = await takeBackup(system.config.database.url ?? '');
    registerCleanup(backup, backup.drop);
    await eventually(async () => (await system.request('GET', '/health/ready')).status === 200);
    const followed = await openStream(system);
    await eventually(() => write(system, ...ids('lost', 5)).then(() => true));
    await eventually(() => followed.idsOf().length === 5);
    await backup.restore();
    const resync = await eventually(() => followed.stream.events.find(({ name }) => name === 'resync'));
    expect(resync.data.reason).to.equal('restored');
    expect(followed.idsOf()).to.deep.equal(ids('lost', 5));
    // What is dispatched before both sides have moved may wait for the reconciler, which here never comes.
    const movedBy = Date.now() + 20_000;
    let tried = 0;
    await eventually(async () => {
      tried += 1;
      const answer = await system.push([createItem(`new-${tried}`)], {}, { prefer: 'wait=1' });
      return answer.status === 200 || Date.now() > movedBy;
    }, 25_000);
    const fresh = await openStream(system);
    for (let batch = 0; batch < 10; batch += 1) await write(system, `task-${batch}`);
    await eventually(() => fresh.idsOf().filter((id) => id.startsWith('task-')).length === 10);
    await eventually(async () => (await workersOf(system)) === 2);
    expect((await system.request('GET', '/health')).body.status).to.equal('ok');
    fresh.stream.close();
    await system.stop();
    forgetCleanup(backup);
    await backup.drop();
  });
});

describe('what is left in Redis of installations that are gone', () => {
  before(function () {
    if (testBackend !== 'redis') this.skip();
  });

  it('is removed after a week, that of versions without a name as well, and nothing else', async () => {
    const prefix = uniquePrefix();
    const redis = new Redis(requireSharedRedis());
    const keysOf = async () => (await redis.keys(`${prefix}:*`)).map((key) => key.slice(prefix.length + 1)).toSorted();
    for (const key of [
      'gone:sync:meta',
      'gone:maintenance:id',
      'sync:meta',
      'sync:7',
      'maintenance:meta',
      'other:sync:meta',
    ])
      await redis.set(`${prefix}:${key}`, '');
    const queues = ['sync', 'maintenance'];
    await redis.zadd(`${prefix}:installations`, 1, 'gone');
    await removeAbandoned(redis, prefix, 'other', queues);
    expect(await keysOf()).to.deep.equal([
      'installations',
      'maintenance:meta',
      'other:sync:meta',
      'sync:7',
      'sync:meta',
    ]);
    // Since now it is known that a version without a name was here.
    expect(await removeAbandoned(redis, prefix, 'other', queues)).to.deep.equal([]);
    await redis.zadd(`${prefix}:installations`, 1, 'none');
    expect(await removeAbandoned(redis, prefix, 'other', queues)).to.deep.equal(['none']);
    expect(await keysOf()).to.deep.equal(['installations', 'other:sync:meta']);
    expect(await redis.zrange(`${prefix}:installations`, 0, -1)).to.deep.equal(['other']);
    await redis.del(...(await redis.keys(`${prefix}:*`)));
    redis.disconnect();
  });
});
