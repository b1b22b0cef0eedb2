// I8: a batch is let through or refused once, also where a count that is under way decides.
import { once } from 'node:events';
import type { Server } from 'node:http';
import { expect } from 'chai';
import express from 'express';
import { createAdmission } from '../../src/api/admission/admission.js';
import { createPendingEstimate } from '../../src/api/admission/pendingEstimate.js';
import { problemHandler } from '../../src/api/middleware/problem.js';
import { BATCH_PATH, shedLoad } from '../../src/api/middleware/shedLoad.js';
import { createLogger } from '../../src/logger.js';
import type { PendingCount } from '../../src/storage/readBacklog.js';

const logger = createLogger({ level: 'error', process: 'test' });
const BODY_LIMIT_BYTES = 1_000;
const LIMITS = {
  pendingMax: 100,
  pendingMaxPerWorkspace: 1_000,
  lagMs: 0,
  concurrentBatches: 10,
  waitingRequests: 10,
};
const pending = (total: number): PendingCount => ({ total, byWorkspace: new Map() });

describe('shedding load', () => {
  let server: Server;
  let clockMs: number;
  let count: () => Promise<PendingCount>;
  let letThrough: number;
  /** Requests that the middleware has seen, decided or not. */
  let lookedAt: number;
  let onLookedAt: () => void;

  beforeEach(async () => {
    clockMs = 0;
    letThrough = 0;
    lookedAt = 0;
    onLookedAt = () => undefined;
    count = async () => pending(100);
    const admission = createAdmission(LIMITS, {
      lag: { meanMs: () => 0, close: () => undefined },
      pending: createPendingEstimate(
        () => count(),
        () => clockMs,
        logger,
      ),
      unread: { bytes: () => 0, room: () => 1 },
      poolWaiting: () => 0,
      onShed: () => undefined,
    });
    const answer = problemHandler({
      logger,
      config: { bodyLimitBytes: BODY_LIMIT_BYTES, trustedProxies: 0 },
      random: () => 0,
    });
    const app = express();
    app.use((_request, _response, next) => {
      next();
      lookedAt += 1;
      onLookedAt();
    });
    app.use(shedLoad(admission, BODY_LIMIT_BYTES, answer));
    app.use((_request, response) => {
      letThrough += 1;
      response.status(202).end();
    });
    server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    // Nothing is known before the first count.
    expect(await push()).to.equal(202);
    expect(await push()).to.equal(503);
  });
  afterEach(() => server.close());

  async function push(): Promise<number> {
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const answer = await fetch(`http://127.0.0.1:${port}${BATCH_PATH}`, { method: 'POST', body: '{}' });
    await answer.text();
    return answer.status;
  }

  for (const [what, counted, status] of [
    ['lets a batch through that only an old count is against', async () => pending(0), 202],
    ['refuses one that the count under way is against, too', async () => pending(100), 503],
    ['refuses one where nothing could be counted', () => Promise.reject(new Error('no database')), 503],
  ] as const) {
    it(what, async () => {
      letThrough = 0;
      clockMs = 3_600_000;
      const bothLookedAt = new Promise<void>((resolve) => (onLookedAt = () => lookedAt === 4 && resolve()));
      let decide = () => {};
      count = () => new Promise<void>((resolve) => (decide = resolve)).then(counted);
      const waiting = [push(), push()];
      await bothLookedAt;
      expect(letThrough).to.equal(0);
      decide();
      expect(await Promise.all(waiting)).to.deep.equal([status, status]);
      expect(letThrough).to.equal(status === 202 ? 2 : 0);
    });
  }
});
