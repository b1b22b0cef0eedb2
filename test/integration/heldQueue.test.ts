// What an operator can do to the queue in Bull Board, and what stands there of failed operations: nothing stops without a word, and what is
// healed goes.
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { refuseTitles } from '../support/faults.js';
import { metricValue, scrape } from '../support/metrics.js';
import { createItem, newId } from '../support/operations.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const BOARD = '/admin/queues/api/queues/sync';
const ENV = { RECONCILE_AFTER_MS: '100', RECONCILE_INTERVAL_MS: '50' };
/** What no part of the queue may hold. */
const SECRET = 'Call the doctor';

const startHeld = () => withQueue(startSystem(import.meta.url, { env: ENV }));
const waitFor = (system: System, expected: object) =>
  eventually(async () => {
    const { body } = await system.request('GET', '/health');
    return Object.entries(expected).every(([name, value]) => body[name] === value) && body;
  });

describe('a queue that somebody holds up', () => {
  let system: System;
  before(async () => {
    system = await startHeld();
  });
  after(() => system.stop());

  const push = (prefer: string) => system.push([createItem(newId('task'))], {}, { prefer });
  const depths = async () => (await system.request('GET', '/api/sync/status')).body.queue;

  it('paused: says so in /health and the metrics, makes no more jobs, and goes on when it is resumed', async () => {
    await waitFor(system, { status: 'ok' });
    expect((await system.request('PUT', `${BOARD}/pause`)).status).to.equal(200);
    const health = await waitFor(system, { status: 'degraded', queue: 'paused', ok: false });
    expect(health.message).to.include('paused').and.to.include('resumed');
    expect(metricValue(await scrape(system.url), 'task_sync_queue_paused')).to.equal(1);

    const { body } = await push('wait=1');
    expect(body.status).to.equal('processing');
    // Ten rounds of the reconciler, which would find it each time.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const counts = await depths();
    expect(counts.waiting + counts.active + counts.delayed, 'its own job').to.be.at.most(1);

    expect((await system.request('PUT', `${BOARD}/resume`)).status).to.equal(200);
    await waitFor(system, { status: 'ok', queue: 'up' });
    await eventually(async () => (await system.request('GET', '/api/sync/status')).body.pending === 0);
    await eventually(async () => metricValue(await scrape(system.url), 'task_sync_queue_paused') === 0);
  });

  it('limited to a rate: says so', async () => {
    await waitFor(system, { status: 'ok' });
    const limited = await system.request('PUT', `${BOARD}/rate-limit`, { max: 1, duration: 3_600_000 });
    expect(limited.status, JSON.stringify(limited.body)).to.equal(200);
    const health = await waitFor(system, { status: 'degraded', queue: 'limited' });
    expect(health.message).to.include('rate limit');
  });
});

describe('failed jobs', () => {
  let system: System;
  before(async () => {
    system = await startHeld();
  });
  after(() => system.stop());

  const status = async () => (await system.request('GET', '/api/sync/status')).body;
  /** Three batches, each with one operation that fails. */
  async function fail(word: string) {
    const allow = await refuseTitles(system.database, word, '22000');
    for (let count = 0; count < 3; count += 1) {
      const items = [createItem(newId('good')), createItem(newId('bad'), { title: `${word} ${SECRET}` })];
      expect((await system.push(items, {}, { prefer: 'wait=20' })).body.summary).to.include({ error: 1 });
    }
    await eventually(async () => (await status()).queue.failed === 3);
    return allow;
  }

  it('go when trigger has healed their operations', async () => {
    const allow = await fail('Triggered');
    await allow();
    await system.request('POST', '/api/sync/trigger', undefined, { prefer: 'wait=20' });
    expect(await status()).to.deep.include({ failed: 0, pending: 0 });
    expect((await status()).queue.failed).to.equal(0);
    const board = await system.request('GET', '/admin/queues/api/queues?activeQueue=sync&status=failed&page=1');
    expect(board.body.queues[0].jobs).to.deep.equal([]);
    await eventually(
      async () => metricValue(await scrape(system.url), 'task_sync_queue_jobs', { state: 'failed' }) === 0,
    );
  });

  it('go one by one when their operations are retried or discarded, and stay while one has failed', async () => {
    const allow = await fail('Single');
    const [first, second] = (await system.request('GET', '/api/sync/queue?status=failed')).body;
    await system.request('DELETE', `/api/sync/queue/${first.id}`);
    expect((await status()).queue.failed).to.equal(2);
    await system.request('POST', `/api/sync/queue/${second.id}/retry`, undefined, { prefer: 'wait=20' });
    expect((await status()).queue.failed, 'it failed again').to.equal(2);
    await allow();
    await system.request('POST', `/api/sync/queue/${second.id}/retry`, undefined, { prefer: 'wait=20' });
    expect((await status()).queue.failed).to.equal(1);
    await system.request('POST', '/api/sync/trigger', undefined, { prefer: 'wait=20' });
    expect((await status()).queue.failed).to.equal(0);
  });

  it('carry ids and say where the error stands, never what a user wrote', async () => {
    const allow = await fail('Quoted');
    // A transient fault may quote as well: its job comes back again and again.
    await system.database.sequelize.query(`
      CREATE FUNCTION quote_row() RETURNS trigger LANGUAGE plpgsql AS $body$
      BEGIN RAISE EXCEPTION 'try again: %', NEW.title USING ERRCODE = '40001'; END $body$`);
    await system.database.sequelize.query(
      `CREATE TRIGGER quote_row BEFORE INSERT ON tasks FOR EACH ROW WHEN (NEW.title LIKE 'Again%') EXECUTE FUNCTION quote_row()`,
    );
    await system.push([createItem(newId('again'), { title: `Again ${SECRET}` })], {}, { prefer: 'respond-async' });
    await eventually(async () => {
      const text = await readQueueStore(system);
      return text.includes('PostgreSQL refused it with 40001') && text;
    });
    const text = await readQueueStore(system);
    expect(text).to.include('GET /api/sync/queue?status=failed says why');
    expect(text).to.not.include('doctor');
    const [failed] = (await system.request('GET', '/api/sync/queue?status=failed')).body;
    expect(failed.error, 'who may see the data sees the reason').to.include('refused: Quoted');
    await allow();
    await system.database.sequelize.query('DROP TRIGGER quote_row ON tasks');
  });
});

/** All that the queue holds, as text. */
async function readQueueStore(system: System): Promise<string> {
  const { redisUrl, prefix } = system.config.queue;
  if (redisUrl === undefined) {
    const tables = await system.database.select<{ name: string }>(
      "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'bullmq'",
      [],
    );
    const texts = await Promise.all(
      tables.map(({ name }) => system.database.select<{ text: string }>(`SELECT t::text AS text FROM ${name} t`, [])),
    );
    return texts
      .flat()
      .map(({ text }) => text)
      .join('\n');
  }
  const redis = new Redis(redisUrl);
  try {
    const keys = await redis.keys(`${prefix.replaceAll(/[[\]*?]/g, '?')}:*`);
    const texts = await Promise.all(
      keys.map(async (key) => {
        const type = await redis.type(key);
        if (type === 'hash') return JSON.stringify(await redis.hgetall(key));
        if (type === 'stream') return JSON.stringify(await redis.xrange(key, '-', '+'));
        return '';
      }),
    );
    return texts.join('\n');
  } finally {
    redis.disconnect();
  }
}
