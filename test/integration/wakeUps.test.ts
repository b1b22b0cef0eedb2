// Wake-ups go to everybody, outcomes to who waits for them (I7), in front of the wake-up; what is no message of ours harms nobody.
import { expect } from 'chai';
import { Redis } from 'ioredis';
import pg from 'pg';
import { v7 as newUuid } from 'uuid';
import { createLogger } from '../../src/logger.js';
import type { QueueAddress } from '../../src/queue/backend.js';
import {
  channelOf,
  createWakeUpPublisher,
  subscribeWakeUps,
  type WakeUp,
  type WakeUpPublisher,
} from '../../src/queue/wakeUps.js';
import { openQueueAddress } from '../support/queueAddress.js';
import { eventually, type System, startSystem } from '../support/system.js';

const logger = createLogger({ level: 'error', process: 'test' });
const WAKE_UP = { workspaceId: 'w', seq: 3, settledUpTo: 7, batchIds: [newUuid()], incarnation: 'i' };

describe('wake-ups', () => {
  let system: System;
  let address: QueueAddress;
  let publisher: WakeUpPublisher;
  const closing: { close(): Promise<void> }[] = [];

  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
    const { queue, database } = system.config;
    address = await openQueueAddress(queue, database.url ?? '');
    publisher = createWakeUpPublisher(address, logger);
    closing.push(publisher);
  });
  after(async () => {
    for (const each of closing) await each.close();
    await system.stop();
  });

  /** Somebody who listens, and what he has heard in order. */
  async function listen() {
    const name = newUuid();
    const heard: (['wake-up', WakeUp] | ['outcomes', unknown])[] = [];
    closing.push(
      subscribeWakeUps(address, logger, {
        name,
        onWakeUp: (wakeUp) => heard.push(['wake-up', wakeUp]),
        onOutcomes: (outcomes) => heard.push(['outcomes', outcomes]),
      }),
    );
    await eventually(async () => {
      publisher.publish(WAKE_UP, new Map([[name, 'are you there?']]));
      return heard.some(([kind]) => kind === 'wake-up') && heard.some(([kind]) => kind === 'outcomes');
    });
    return { name, heard };
  }

  /** Publishes any text, as anyone could. */
  async function publishText(name: string | undefined, text: string) {
    if (address.kind === 'redis') {
      const redis = new Redis(address.redis);
      await redis.publish(channelOf(address, name), text);
      redis.disconnect();
      return;
    }
    const client = new pg.Client(address.database);
    await client.connect();
    await client.query('SELECT pg_notify($1, $2)', [channelOf(address, name), text]);
    await client.end();
  }

  it('are heard once by everybody, and outcomes before them by who waits', async () => {
    const one = await listen();
    const other = await listen();
    // Both have heard what was sent while they came.
    const settle = { ...WAKE_UP, workspaceId: 'settled' };
    publisher.publish(settle);
    for (const { heard } of [one, other]) {
      await eventually(async () =>
        heard.some(([, each]) => each !== null && JSON.stringify(each) === JSON.stringify(settle)),
      );
      heard.length = 0;
    }
    const outcomes = { of: 'one' };
    publisher.publish(WAKE_UP, new Map([[one.name, outcomes]]));
    publisher.publish({ ...WAKE_UP, seq: 4 });
    for (const { heard } of [one, other])
      await eventually(async () => heard.filter(([kind]) => kind === 'wake-up').length === 2);
    const both = [
      ['wake-up', WAKE_UP],
      ['wake-up', { ...WAKE_UP, seq: 4 }],
    ];
    expect(one.heard).to.deep.equal([['outcomes', outcomes], ...both]);
    expect(other.heard).to.deep.equal(both);
  });

  it('go on after messages that are none', async () => {
    const { name, heard } = await listen();
    const texts = ['', '{', 'null', '7', '[]', '{}', '{"workspaceId":1,"seq":2,"settledUpTo":3}'];
    for (const text of texts) await publishText(undefined, text);
    for (const text of ['', '{']) await publishText(name, text);
    const last = { ...WAKE_UP, workspaceId: 'behind them' };
    publisher.publish(last);
    await eventually(async () => heard.some(([, each]) => JSON.stringify(each) === JSON.stringify(last)));
    expect(heard.filter(([kind, each]) => kind === 'wake-up' && each.workspaceId === undefined)).to.deep.equal([]);
  });
});
