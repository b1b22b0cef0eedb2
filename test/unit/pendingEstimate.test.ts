// The estimate of what is pending: right without a count for every batch, and never too low by what this process accepted itself (I8).
import { expect } from 'chai';
import { createPendingEstimate } from '../../src/api/admission/pendingEstimate.js';
import { createLogger } from '../../src/logger.js';
import type { PendingCount } from '../../src/storage/readBacklog.js';

const logger = createLogger({ level: 'error', process: 'test' });

/** An estimate whose counts the test answers, and its clock. */
function createEstimate() {
  const open: { answer(count: PendingCount): void; fail(): void }[] = [];
  const clock = { nowMs: 0 };
  const estimate = createPendingEstimate(
    () =>
      new Promise((resolve, reject) => {
        open.push({ answer: resolve, fail: () => reject(new Error('no answer')) });
      }),
    () => clock.nowMs,
    logger,
  );
  return { estimate, open, clock };
}

const pending = (counts: Record<string, number>): PendingCount => ({
  total: Object.values(counts).reduce((sum, count) => sum + count, 0),
  byWorkspace: new Map(Object.entries(counts)),
});

describe('the estimate of pending operations', () => {
  it('is the last count and what was accepted since it began', async () => {
    const { estimate, open } = createEstimate();
    const counted = estimate.refresh();
    estimate.reserve('a', 50)(40);
    expect([estimate.of('a'), estimate.total()]).to.deep.equal([40, 40]);
    open[0]?.answer(pending({ a: 100, b: 7 }));
    await counted;
    expect([estimate.of('a'), estimate.of('b'), estimate.of('c'), estimate.total()]).to.deep.equal([140, 7, 0, 147]);
  });

  it('holds what is being accepted, and lets go of what was not new', () => {
    const { estimate } = createEstimate();
    const settle = estimate.reserve('a', 50);
    expect(estimate.of('a')).to.equal(50);
    settle(0);
    expect([estimate.of('a'), estimate.total()]).to.deep.equal([0, 0]);
  });

  it('keeps what it knew while a count is under way, and drops it when the count has it', async () => {
    const { estimate, open, clock } = createEstimate();
    open.length = 0;
    const first = estimate.refresh();
    open[0]?.answer(pending({}));
    await first;
    estimate.reserve('a', 30)(30);
    clock.nowMs = 1_000;
    const second = estimate.refresh();
    expect(estimate.of('a')).to.equal(30);
    open[1]?.answer(pending({ a: 30 }));
    await second;
    expect(estimate.of('a')).to.equal(30);
  });

  it('loses nothing by a count that failed', async () => {
    const { estimate, open, clock } = createEstimate();
    estimate.reserve('a', 30)(30);
    const counted = estimate.refresh();
    estimate.reserve('a', 5)(5);
    open[0]?.fail();
    await counted;
    expect([estimate.of('a'), estimate.total()]).to.deep.equal([35, 35]);
    expect(estimate.refresh(), 'not at once again').to.equal(undefined);
    clock.nowMs = 1_000;
    expect(estimate.refresh()).to.be.a('promise');
  });

  it('counts at most once a second, less often when counting takes long, one count at a time', async () => {
    const { estimate, open, clock } = createEstimate();
    const counted = estimate.refresh();
    expect(estimate.refresh()).to.equal(counted);
    clock.nowMs = 50;
    open[0]?.answer(pending({}));
    await counted;
    // Thirty times 50 ms; and where that would be long, three seconds.
    clock.nowMs = 50 + 1_499;
    expect(estimate.refresh()).to.equal(undefined);
    clock.nowMs = 50 + 1_500;
    const second = estimate.refresh();
    clock.nowMs += 2_000;
    open[1]?.answer(pending({}));
    await second;
    clock.nowMs += 2_999;
    expect(estimate.refresh()).to.equal(undefined);
    clock.nowMs += 1;
    expect(estimate.refresh()).to.be.a('promise');
    expect(open).to.have.lengthOf(3);
  });
});
