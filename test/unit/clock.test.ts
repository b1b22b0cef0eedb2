import { expect } from 'chai';
import { createServerClock, fixEffectiveTimes, timeAfter } from '../../src/sync/clock.js';
import { fromMicros, toMicros } from '../../src/sync/timestamp.js';

const NOON = toMicros('2026-06-01T12:00:00.000000Z');
const time = (text: string) => `2026-06-01T${text}Z`;

describe('effective times', () => {
  it('stay as the device wrote them when its clock is right', () => {
    const given = [time('11:00:00.000001'), time('09:30:00.500000')];
    expect(fixEffectiveTimes(given, time('12:00:01.900000'), NOON, NOON)).to.deep.equal({
      times: given,
      adjusted: 0,
      skewMs: 1900,
    });
  });

  it('stay as they are when the device does not say its time', () => {
    const given = [time('11:00:00.000001')];
    expect(fixEffectiveTimes(given, undefined, NOON, NOON)).to.deep.equal({ times: given, adjusted: 0 });
  });

  it('are shifted by a clock 40 minutes ahead, microseconds kept', () => {
    const fixed = fixEffectiveTimes(
      [time('12:39:59.000007'), time('12:10:00.000000')],
      time('12:40:00.000000'),
      NOON,
      NOON,
    );
    expect(fixed).to.deep.equal({
      times: [time('11:59:59.000007'), time('11:30:00.000000')],
      adjusted: 2,
      skewMs: 2_400_000,
    });
  });

  it('are shifted by a clock a year behind', () => {
    const fixed = fixEffectiveTimes(['2025-06-01T11:00:00.000000Z'], '2025-06-01T12:00:00.000000Z', NOON, NOON);
    expect(fixed.times).to.deep.equal([time('11:00:00.000000')]);
    expect(fixed.skewMs).to.equal(-365 * 86_400_000);
  });

  it('in the future become server time, in the order of the batch', () => {
    const fixed = fixEffectiveTimes(
      [time('13:00:00.000000'), time('12:30:00.000000'), time('11:00:00.000000')],
      undefined,
      NOON,
      NOON,
    );
    expect(fixed.times).to.deep.equal([time('12:00:00.000000'), time('12:00:00.000001'), time('11:00:00.000000')]);
    expect(fixed.adjusted).to.equal(2);
  });

  it('that are missing become server time, in the order of the batch, and count as nobody’s fault', () => {
    const fixed = fixEffectiveTimes([undefined, undefined, time('11:00:00.000000'), undefined], undefined, NOON, NOON);
    expect(fixed.times).to.deep.equal([
      time('12:00:00.000000'),
      time('12:00:00.000001'),
      time('11:00:00.000000'),
      time('12:00:00.000003'),
    ]);
    expect(fixed.adjusted).to.equal(0);
  });

  it('survive clocks at the ends of time', () => {
    const fixed = fixEffectiveTimes(['0001-01-01T00:00:00.000000Z'], '9999-12-31T23:59:59.999999Z', NOON, NOON);
    expect(fixed.times).to.deep.equal(['0001-01-01T00:00:00.000000Z']);
  });
});

describe('direct writes', () => {
  it('take server time', () => {
    expect(timeAfter(time('12:00:00.000000'), undefined)).to.equal(time('12:00:00.000000'));
    expect(timeAfter(time('12:00:00.000000'), time('11:59:59.999999'))).to.equal(time('12:00:00.000000'));
  });

  it('are never older than the task', () => {
    expect(timeAfter(time('12:00:00.000000'), time('12:00:00.000000'))).to.equal(time('12:00:00.000001'));
    expect(timeAfter(time('12:00:00.000000'), '2030-01-01T00:00:00.999999Z')).to.equal('2030-01-01T00:00:01.000000Z');
  });
});

describe('the server clock', () => {
  it('gives no microsecond twice, even while the milliseconds stand still or go back', () => {
    const readings = [1_000, 1_000, 999, 1_001];
    const clock = createServerClock(() => readings.shift() ?? 2_000);
    const starts = [clock.reserve(500), clock.reserve(1_000), clock.reserve(1), clock.reserve(1)];
    expect(starts).to.deep.equal([1_000_000n, 1_000_500n, 1_001_500n, 1_001_501n]);
    expect(fromMicros(clock.reserve(1))).to.equal('1970-01-01T00:00:02.000000Z');
  });

  it('goes on from an earlier time when it was set back, and keeps the order over a small step', () => {
    let nowMs = 100 * 86_400_000;
    const clock = createServerClock(() => nowMs);
    clock.reserve(1);
    nowMs -= 1_000;
    expect(fromMicros(clock.reserve(1))).to.equal('1970-04-11T00:00:00.000001Z');
    nowMs = 1_000;
    expect(fromMicros(clock.reserve(1))).to.equal('1970-01-01T00:00:01.000000Z');
    expect(fromMicros(clock.reserve(1))).to.equal('1970-01-01T00:00:01.000001Z');
  });
});
