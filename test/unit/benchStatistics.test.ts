// The arithmetic behind docs/performance.md: a wrong percentile would make every other number there worthless.
import { expect } from 'chai';
import fc from 'fast-check';
import { ArgumentError, PART_NAMES, readArguments } from '../../bench/arguments.js';
import { median, percentile, spreadOf } from '../../bench/statistics.js';

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);

  for (const [percent, expected] of [
    [0, 1],
    [1, 1],
    [50, 50],
    [99, 99],
    [99.1, 100],
    [100, 100],
  ] as const) {
    it(`${percent} of 1 to 100 is ${expected}`, () => {
      expect(percentile(hundred, percent)).to.equal(expected);
    });
  }

  it('is the one sample of a single one, and nothing of none', () => {
    expect(percentile([7], 1)).to.equal(7);
    expect(percentile([7], 99)).to.equal(7);
    expect(percentile([], 50)).to.be.NaN;
  });

  it('is the smallest sample that enough others do not exceed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true }), { minLength: 1 }),
        fc.double({ min: 0.001, max: 100, noNaN: true }),
        (samples, percent) => {
          const sorted = [...samples].sort((a, b) => a - b);
          const found = percentile(sorted, percent);
          expect(samples).to.include(found);
          const within = (limit: number) => sorted.filter((each) => each <= limit).length / sorted.length;
          expect(within(found) * 100).to.be.at.least(percent - 1e-9);
          const below = sorted.filter((each) => each < found);
          expect((below.length / sorted.length) * 100).to.be.below(percent + 1e-9);
        },
      ),
    );
  });
});

describe('median and spread', () => {
  it('of an odd count is the middle, of an even one the mean of the two middle ones', () => {
    expect(median([9, 1, 5])).to.equal(5);
    expect(median([4, 1, 3, 2])).to.equal(2.5);
    expect(median([])).to.be.NaN;
  });

  it('leaves its argument as it is', () => {
    const values = [3, 1, 2];
    expect(spreadOf(values)).to.deep.equal({ median: 2, min: 1, max: 3 });
    expect(values).to.deep.equal([3, 1, 2]);
    expect(spreadOf([])).to.equal(undefined);
  });
});

describe('the arguments of npm run bench', () => {
  it('without any measure all parts', () => {
    const settings = readArguments([]);
    expect(settings.parts).to.deep.equal(PART_NAMES);
    expect(settings).to.include({ rounds: 3, measureMs: 3_000, isQuick: false, publishes: false });
  });

  it('choose parts, rounds and sizes', () => {
    const settings = readArguments(['pull', 'push', '--rounds', '5', '--seconds', '0.5', '--publish']);
    expect(settings.parts).to.deep.equal(['push', 'pull']);
    expect(settings).to.include({ rounds: 5, measureMs: 500, publishes: true });
    expect(readArguments(['--full']).logSizes).to.include(10_000_000);
    expect(Math.max(...readArguments(['--quick']).pullSizes)).to.be.at.most(1_000);
  });

  for (const given of [['pushes'], ['--rounds', '0'], ['--rounds', 'many'], ['--seconds', '-1'], ['--fast']]) {
    it(`refuse ${given.join(' ')} with the usage`, () => {
      expect(() => readArguments(given)).to.throw(ArgumentError, /npm run bench -- \[parts\]/);
    });
  }
});
