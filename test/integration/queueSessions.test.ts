// Sessions of a queue in PostgreSQL that end at the worst moments: the process lives, takes its jobs as before, and stops in time.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createLogger } from '../../src/logger.js';
import { type Consumer, startConsumer } from '../../src/queue/consumer.js';
import { testBackend } from '../support/environment.js';
import { createItem, newId } from '../support/operations.js';
import { openQueueAddress } from '../support/queueAddress.js';
import { type Moment, type SessionProxy, startSessionProxy } from '../support/sessionProxy.js';
import { onStatement } from '../support/statements.js';
import { eventually, type System, startSystem } from '../support/system.js';

const logger = createLogger({ level: 'error', process: 'test' });

describe('the sessions of a queue in PostgreSQL', () => {
  if (testBackend !== 'postgres') return;

  let system: System;
  let proxy: SessionProxy;
  let taken = 0;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
    proxy = await startSessionProxy(system.config.database.url ?? '');
  });
  after(async () => {
    proxy.close();
    await system.stop();
  });

  async function startTaking(work: () => Promise<unknown> = async () => undefined, concurrency = 1): Promise<Consumer> {
    const address = await openQueueAddress(system.config.queue, system.config.database.url ?? '', proxy.url);
    const { retry } = system.config;
    const options = { concurrency, retry, random: Math.random, logger, onRun: () => undefined };
    const take = () => {
      taken += 1;
      return work();
    };
    return startConsumer(address, take, options);
  }

  const push = () => system.push([createItem(newId('task'))], {}, { prefer: 'respond-async' });

  /** Pushes a batch. @returns how long its job took to be taken, in ms */
  async function takeOne(): Promise<number> {
    const before = taken;
    const startedAt = performance.now();
    await push();
    await eventually(() => taken > before);
    return performance.now() - startedAt;
  }

  /** At least one session ends at this moment. */
  async function endAt(moment: Moment) {
    const before = proxy.ended();
    proxy.endAt(moment);
    proxy.cut();
    await eventually(() => proxy.ended() > before);
    proxy.endAt();
  }

  for (const moment of ['ready', 'first statement'] as const) {
    it(`may end when they are new (${moment}), also the first ones of a worker`, async () => {
      proxy.endAt(moment);
      const consumer = await startTaking();
      await endAt(moment);
      await takeOne();
      await consumer.close();
    });
  }

  for (const moment of ['ready', 'first statement', 'listening'] as const) {
    it(`may end when they take the place of others (${moment}), and jobs are heard of as before`, async () => {
      const consumer = await startTaking();
      await takeOne();
      await endAt(moment);
      // The first one may have to be looked for. A worker that ends a job while the next one is there takes it without having been told: each
      // comes when the one before is over.
      await takeOne();
      await sleep(200);
      await takeOne();
      await sleep(200);
      expect(await takeOne(), 'told, not found after the wait of 5 s').to.be.lessThan(4_000);
      await consumer.close();
    });
  }

  it('are asked twice for a job that comes alone, not three times, and for all that wait', async () => {
    const asked: string[] = [];
    const stop = onStatement((_client, text) => {
      if (text.includes('move_to_active')) asked.push(text);
    }, 'queue');
    const consumer = await startTaking(undefined, 4);
    try {
      await takeOne();
      asked.length = 0;
      for (let job = 0; job < 5; job += 1) await takeOne();
      expect(asked.length).to.be.within(5, 11);
    } finally {
      stop();
      await consumer.close();
    }
    const before = taken;
    for (let job = 0; job < 9; job += 1) await push();
    const all = await startTaking(undefined, 4);
    const startedAt = performance.now();
    await eventually(() => taken === before + 9);
    await all.close();
    expect(performance.now() - startedAt, 'a wait that nothing ends takes 5 s').to.be.lessThan(4_000);
  });

  it('may be away when a job has ended; a worker that stops does not wait for long', async () => {
    let finish: () => void = () => undefined;
    const worked = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const consumer = await startTaking(() => worked);
    await takeOne();
    proxy.refuse();
    proxy.cut();
    // Until the pool has seen it, and what the worker asks next is refused.
    await sleep(200);
    finish();
    await sleep(200);
    const startedAt = performance.now();
    await consumer.close();
    expect(performance.now() - startedAt).to.be.lessThan(5_000);
    await proxy.accept();
  });
});
