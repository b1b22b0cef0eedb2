// What an api process takes on, limit by limit (I8).
import { expect } from 'chai';
import { type AdmissionLimits, createAdmission } from '../../src/api/admission/admission.js';
import { createPendingEstimate } from '../../src/api/admission/pendingEstimate.js';
import { createWaitingPlaces } from '../../src/api/admission/waitingPlaces.js';
import { ApiError, ERROR_KINDS, type ErrorCode, retryAfterS } from '../../src/errors.js';
import { createLogger } from '../../src/logger.js';
import type { ShedReason } from '../../src/metrics/apiMetrics.js';

const logger = createLogger({ level: 'error', process: 'test' });
const GENEROUS: AdmissionLimits = {
  pendingMax: 1_000,
  pendingMaxPerWorkspace: 1_000,
  lagMs: 200,
  concurrentBatches: 10,
  waitingRequests: 10,
};

/** An admission on a database in which `pending` operations of the workspace `a` wait. */
function create(
  limits: Partial<AdmissionLimits>,
  state: { lagMs: number; pending: number; poolWaiting?: number; unreadRoom?: number },
) {
  const shed: ShedReason[] = [];
  const clock = { nowMs: 0 };
  let counts = 0;
  const count = async () => {
    counts += 1;
    return { total: state.pending, byWorkspace: new Map([['a', state.pending]]) };
  };
  const admission = createAdmission(
    { ...GENEROUS, ...limits },
    {
      lag: { meanMs: () => state.lagMs, close: () => undefined },
      pending: createPendingEstimate(count, () => clock.nowMs, logger),
      unread: { bytes: () => 0, room: () => state.unreadRoom ?? 1 },
      poolWaiting: () => state.poolWaiting ?? 0,
      onShed: (reason) => shed.push(reason),
    },
  );
  return { admission, shed, clock, counts: () => counts };
}

const ids = (count: number) => async () => Array.from({ length: count }, (_, n) => n + 1);

async function codeOf(work: () => unknown): Promise<ErrorCode | 'accepted'> {
  try {
    await work();
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('admission', () => {
  it('refuses long reads while the process is behind, its pool has a long line, or much waits to be read', async () => {
    const cases = [
      [{ lagMs: 201 }, 'event_loop_lag'],
      [{ poolWaiting: 40 }, 'database_pool'],
      [{ unreadRoom: 0 }, 'unread_answers'],
    ] as const;
    for (const [state, reason] of cases) {
      const { admission, shed } = create({}, { lagMs: 0, pending: 0, ...state });
      expect(await codeOf(() => admission.checkRead())).to.equal('overloaded');
      expect(shed).to.deep.equal([reason]);
    }
    const { admission } = create({}, { lagMs: 200, pending: 10_000, poolWaiting: 39 });
    expect(await codeOf(() => admission.checkRead()), 'what waits to be applied is no matter of readers').to.equal(
      'accepted',
    );
  });

  it('refuses a workspace that is full with 429 and all of them with 503, before anything is stored', async () => {
    const cases = [
      [{ pendingMaxPerWorkspace: 100 }, 'a', 'too_many_pending', 'pending_per_workspace'],
      [{ pendingMaxPerWorkspace: 100 }, 'b', 'accepted', undefined],
      [{ pendingMax: 100 }, 'b', 'overloaded', 'pending'],
    ] as const;
    for (const [limits, workspaceId, code, reason] of cases) {
      const { admission, shed } = create(limits, { lagMs: 0, pending: 100 });
      await codeOf(() => admission.checkBacklog('warm up'));
      shed.length = 0;
      let stored = false;
      const store = async () => {
        stored = true;
        return [1];
      };
      expect(await codeOf(() => admission.storeBatch(workspaceId, 1, store))).to.equal(code);
      expect(stored).to.equal(code === 'accepted');
      expect(shed).to.deep.equal(reason === undefined ? [] : [reason]);
    }
  });

  it('reaches the limit by what it accepts itself, without another count', async () => {
    const { admission, counts } = create({ pendingMaxPerWorkspace: 100 }, { lagMs: 0, pending: 0 });
    for (let batch = 0; batch < 2; batch += 1) {
      expect(await codeOf(() => admission.storeBatch('a', 50, ids(50)))).to.equal('accepted');
    }
    expect(await codeOf(() => admission.storeBatch('a', 1, ids(1)))).to.equal('too_many_pending');
    expect(counts()).to.equal(1);
  });

  it('takes a batch that is larger than the whole limit while nothing waits: it would never be taken otherwise', async () => {
    const { admission } = create({ pendingMaxPerWorkspace: 10 }, { lagMs: 0, pending: 0 });
    expect(await codeOf(() => admission.storeBatch('a', 50, ids(50)))).to.equal('accepted');
  });

  it('counts again before it refuses for an old count', async () => {
    const state = { lagMs: 0, pending: 100 };
    const { admission, clock } = create({ pendingMaxPerWorkspace: 100 }, state);
    expect(await codeOf(() => admission.checkBacklog('a'))).to.equal('accepted');
    expect(await codeOf(() => admission.checkBacklog('a'))).to.equal('too_many_pending');
    state.pending = 0;
    clock.nowMs = 3_600_000;
    expect(await codeOf(() => admission.checkBacklog('a'))).to.equal('accepted');
  });

  it('refuses what is expensive while the event loop is behind; 0 never does', async () => {
    const state = { lagMs: 201, pending: 0 };
    const { admission, shed } = create({}, state);
    expect(await codeOf(() => admission.checkLoad(100))).to.equal('overloaded');
    expect(shed).to.deep.equal(['event_loop_lag']);
    expect(await codeOf(() => create({ lagMs: 0 }, state).admission.checkLoad(100))).to.equal('accepted');
    state.lagMs = 200;
    expect(await codeOf(() => admission.checkLoad(100))).to.equal('accepted');
  });

  it('stores so many at once and no more, whatever they are and however they end', async () => {
    const { admission, shed } = create({ concurrentBatches: 2 }, { lagMs: 0, pending: 0 });
    let finish = () => {};
    const storing = admission.storeBatch('a', 1, () => new Promise((resolve) => (finish = () => resolve([1]))));
    let fail = () => {};
    const writing = admission.write(() => new Promise((_, reject) => (fail = () => reject(new Error('lost')))));
    await Promise.resolve();
    expect(admission.figures().storing).to.equal(2);
    expect(await codeOf(() => admission.write(ids(1)))).to.equal('overloaded');
    expect(await codeOf(() => admission.storeBatch('a', 1, ids(1)))).to.equal('overloaded');
    expect(await codeOf(() => admission.checkLoad(100))).to.equal('overloaded');
    expect(shed).to.deep.equal(['concurrent_batches', 'concurrent_batches', 'concurrent_batches']);
    finish();
    fail();
    await storing;
    expect(await writing.catch((error: Error) => error.message)).to.equal('lost');
    expect(admission.figures()).to.include({ storing: 0, pending: 1 });
    expect(await codeOf(() => admission.write(ids(1)))).to.equal('accepted');
  });
});

describe('admission in one turn of the event loop', () => {
  it('lets no more through than there are places, and none while many wait for a connection', async () => {
    const state = { lagMs: 0, pending: 0, poolWaiting: 0 };
    const { admission, shed } = create({ concurrentBatches: 2 }, state);
    const three = [1, 2, 3].map(() => codeOf(() => admission.checkLoad(100)));
    expect(await Promise.all(three)).to.deep.equal(['accepted', 'accepted', 'overloaded']);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await codeOf(() => admission.checkLoad(100))).to.equal('accepted');
    state.poolWaiting = 7;
    expect(await codeOf(() => admission.checkLoad(100))).to.equal('accepted');
    await new Promise((resolve) => setImmediate(resolve));
    state.poolWaiting = 8;
    expect(await codeOf(() => admission.checkLoad(100))).to.equal('overloaded');
    expect(await codeOf(() => admission.storeBatch('a', 1, ids(1)))).to.equal('overloaded');
    expect(shed).to.deep.equal(['concurrent_batches', 'database_pool', 'database_pool']);
  });
});

describe('places to wait', () => {
  it('are given back once, and one too many does not wait', () => {
    const places = createWaitingPlaces(1);
    const first = places.take(5_000);
    expect(first.waitMs).to.equal(5_000);
    expect(places.take(5_000).waitMs).to.equal(0);
    first.release();
    first.release();
    expect(places.count()).to.equal(0);
    expect(places.take(5_000).waitMs).to.equal(5_000);
  });

  it('are not taken by who does not wait', () => {
    const places = createWaitingPlaces(1);
    places.take(0);
    expect(places.take(5_000).waitMs).to.equal(5_000);
  });

  it('look at the database 200 times a second at most, all together', () => {
    const places = createWaitingPlaces(1_000);
    const taken = Array.from({ length: 1_000 }, () => places.take(5_000));
    expect(taken[0]?.lookEveryMs).to.equal(500);
    expect(taken[999]?.lookEveryMs).to.equal(5_000);
  });
});

describe('Retry-After', () => {
  it('is whole seconds from 1 on, spread, for what waiting helps with, and absent for the rest', () => {
    const randoms = [0, 0.3, 0.6, 0.999_999];
    for (const code of ['too_many_pending', 'overloaded', 'unavailable'] as const) {
      const seconds = randoms.map((random) => retryAfterS(code, random) ?? 0);
      for (const each of seconds) expect(each).to.satisfy(Number.isInteger).and.to.be.at.least(1);
      expect(new Set(seconds).size, code).to.be.at.least(3);
      expect(ERROR_KINDS[code].isRetryable).to.equal(true);
    }
    expect(retryAfterS('not_found', 0.5)).to.equal(undefined);
  });

  it('lets no more bytes through than are read without a pause, but always the first body', async () => {
    const { admission, shed } = create({}, { lagMs: 0, pending: 0 });
    const sizes = [10_000_000, 1];
    const codes = await Promise.all(sizes.map((bytes) => codeOf(() => admission.checkLoad(bytes))));
    expect(codes).to.deep.equal(['accepted', 'overloaded']);
    await new Promise((resolve) => setImmediate(resolve));
    const halves = await Promise.all([1, 2, 3].map(() => codeOf(() => admission.checkLoad(500_000))));
    expect(halves).to.deep.equal(['accepted', 'accepted', 'overloaded']);
    expect(shed).to.deep.equal(['bytes_at_once', 'bytes_at_once']);
  });
});
