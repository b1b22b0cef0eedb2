// An api that was told to stop: it is not ready at once and serves for a moment still, so that a load balancer can leave it.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createItem, newId } from '../support/operations.js';
import { startSystem } from '../support/system.js';

const DRAIN_MS = 1_500;

describe('an api that stops', () => {
  it('says that it is not ready, serves on with answers that close their connections, and then is gone', async () => {
    const env = { SHUTDOWN_DRAIN_MS: String(DRAIN_MS), SHUTDOWN_TIMEOUT_MS: '10000' };
    const system = await startSystem(import.meta.url, { workers: 0, env });
    const keptAlive = await fetch(`${system.url}/health/ready`);
    expect(keptAlive.status).to.equal(200);
    expect(keptAlive.headers.get('connection')).to.equal('keep-alive');
    await keptAlive.text();
    const stoppedAt = performance.now();
    const stopping = system.stop();
    const ready = await fetch(`${system.url}/health/ready`);
    expect(ready.status).to.equal(503);
    expect(ready.headers.get('connection')).to.equal('close');
    await ready.text();
    await sleep(DRAIN_MS / 3);
    // Durable and answered at once: nobody waits for the workers any more.
    const pushed = await system.push([createItem(newId('task'))], {}, { prefer: 'wait=20' });
    expect(pushed.status).to.equal(202);
    expect(performance.now() - stoppedAt, 'it was answered while it drained').to.be.lessThan(DRAIN_MS);
    await stopping;
    expect(performance.now() - stoppedAt).to.be.greaterThan(DRAIN_MS - 50);
    const gone = await fetch(`${system.url}/health/ready`).catch((error: unknown) => error);
    expect(gone).to.be.instanceOf(Error);
  });
});
