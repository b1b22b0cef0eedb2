// Live changes between processes: what is written through one api process reaches the streams of another, also across a restart of
// Redis, without gap or repeat (I6).
import { expect } from 'chai';
import { startProcesses } from '../support/cluster.js';
import { testBackend } from '../support/environment.js';
import { openChain } from '../support/eventStream.js';
import { idsOf, push, send } from '../support/live.js';
import { startTestRedis } from '../support/redis.js';
import { eventually } from '../support/system.js';

describe('a stream on one api process', () => {
  it('brings what is pushed and written directly through another', async () => {
    const cluster = await startProcesses(import.meta.url, { apis: 2, workers: 1 });
    const [first = '', second = ''] = cluster.urls;
    const { chain, stream, broken } = await openChain(second);
    expect(await push(first, idsOf('pushed', 120), 'wait=20')).to.equal(200);
    expect(await send('POST', `${first}/api/tasks`, { id: 'direct', title: 'Direct' })).to.equal(201);
    expect(await send('PATCH', `${first}/api/tasks/pushed-7`, { completed: true })).to.equal(200);
    expect(await send('DELETE', `${first}/api/tasks/pushed-8`, undefined)).to.equal(200);
    await eventually(() => chain.ids.at(-1) === 'pushed-8' && chain.ids.length > 1);
    const pushed = idsOf('pushed', 120);
    // A change shows a task in its latest state: what was overtaken before the stream read it is not shown twice.
    expect(chain.ids.filter((id) => !['pushed-7', 'pushed-8', 'direct'].includes(id))).to.deep.equal(
      pushed.filter((id) => !['pushed-7', 'pushed-8'].includes(id)),
    );
    expect(chain.ids.slice(-3)).to.deep.equal(['direct', 'pushed-7', 'pushed-8']);
    expect(broken).to.deep.equal([]);
    await eventually(() =>
      stream.events.some(({ name, data }) => name === 'batch' && data.status === 'completed' && data.total === 120),
    );
    stream.close();
    await cluster.stop();
  });

  if (testBackend === 'redis') {
    it('catches up by itself when Redis was gone, on the same connection, without gap or repeat', async () => {
      const redis = await startTestRedis();
      const cluster = await startProcesses(import.meta.url, {
        apis: 2,
        workers: 1,
        redisUrl: redis.url,
        env: { RECONCILE_AFTER_MS: '1000', RECONCILE_DIRECT_AFTER_MS: '1000', RECONCILE_INTERVAL_MS: '250' },
      });
      const [first = '', second = ''] = cluster.urls;
      const { chain, stream, broken } = await openChain(second);
      expect(await push(first, idsOf('before', 100), 'wait=20')).to.equal(200);
      await redis.stop();
      for (const label of ['during-a', 'during-b', 'during-c'])
        expect(await push(first, idsOf(label, 100))).to.equal(202);
      await eventually(() => chain.ids.length === 400, 30_000);
      redis.start();
      for (const label of ['after-a', 'after-b']) expect(await push(first, idsOf(label, 100))).to.be.oneOf([200, 202]);
      await eventually(() => chain.ids.length === 600, 30_000);
      expect(chain.ids).to.deep.equal(
        ['before', 'during-a', 'during-b', 'during-c', 'after-a', 'after-b'].flatMap((label) => idsOf(label, 100)),
      );
      expect(broken).to.deep.equal([]);
      expect(stream.ended()).to.equal(false);
      stream.close();
      await cluster.stop();
      await redis.remove();
    });
  }
});
