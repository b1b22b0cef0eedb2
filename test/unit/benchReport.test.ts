// docs/performance.md is computed from a run, and nobody has touched it since.
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { UNKNOWN_MACHINE } from '../../bench/machine.js';
import { barChart } from '../../bench/report/chart.js';
import { performanceChart, performanceDocument } from '../../bench/report/document.js';
import { formatNumber, markdownTable } from '../../bench/report/table.js';
import { judgeTargets, TARGETS } from '../../bench/report/targets.js';
import { failuresOf, type Metrics, type PartResult, type RunResult } from '../../bench/results.js';

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

const variant = (key: string, rounds: Metrics[], failure?: string) => ({
  key,
  label: `label of ${key}`,
  isOurs: key.startsWith('ours'),
  rounds,
  ...(failure === undefined ? {} : { failure }),
});

const runOf = (...parts: PartResult[]): RunResult => ({
  command: 'npm run bench',
  startedAt: '2026-01-31T12:00:00.000Z',
  commit: 'abc1234',
  machine: UNKNOWN_MACHINE,
  rounds: 3,
  measureMs: 3_000,
  parts,
});

const rates = (...values: number[]) => values.map((operationsPerS) => ({ operationsPerS }));

describe('the published page', () => {
  it('is what the program makes of the published result', () => {
    const run = JSON.parse(read('bench/results/published.json'));
    expect(read('docs/performance.md')).to.equal(performanceDocument(run));
    expect(read('docs/performance.svg')).to.equal(performanceChart(run));
  });

  it('shows medians with their spread, ratios, and what could not be measured', () => {
    const page = performanceDocument(
      runOf({
        part: 'push',
        tookS: 1,
        variants: [
          variant('ours-mixed-50x8', rates(9_000, 10_000, 12_000)),
          variant('naive-mixed-50x8', rates(1_000, 1_000, 1_000)),
          variant('rxdb-mixed-50x8', [], 'not installed'),
          variant('rxdb-create-50x8', [], 'not installed'),
        ],
      }),
    );
    expect(page).to.match(/\| label of ours-mixed-50x8 +\| 10,000 \(9,000-12,000\) \|.*\| +10 \|/);
    expect(page).to.include(
      'Not measured: label of rxdb-mixed-50x8; label of rxdb-create-50x8. The reason: not installed',
    );
    expect(page).to.match(/against naive +\| +9 x \| +9 x \| +10 x \| +aim \|/);
  });
});

describe('what more cores would give', () => {
  const backlog = (workers: number, rounds: Metrics[]) => variant(`${workers}-workers-100-workspaces`, rounds);
  const cpu = (worker: number, postgres: number) => [{ 'cpu.worker': worker, 'cpu.postgres': postgres }];

  it('is bounded by the workers, each of one core, and by the cores for all', () => {
    const variants = [backlog(1, cpu(50, 100)), backlog(4, cpu(50, 150))];
    const page = performanceDocument(runOf({ part: 'workers', tookS: 1, variants }));
    // 4 cores carry 26,667 and 20,000 operations of 150 and 200 us, one worker 20,000 of 50 us.
    expect(page).to.match(/\| 1 worker +\| +20,000 \| +20,000 \|\n\| 4 workers +\| +20,000 \| +40,000 \|/);
  });

  it('is not said without CPU times', () => {
    const page = performanceDocument(runOf({ part: 'workers', tookS: 1, variants: [backlog(1, rates(10))] }));
    expect(page).to.not.include('What more cores would give');
  });
});

describe('targets', () => {
  const judged = (part: PartResult, what: RegExp) => {
    const found = judgeTargets(runOf(part)).filter(({ target }) => what.test(target.what));
    return found.map(({ reached, measured }) => [reached, measured]);
  };

  it('are not measured in an empty run', () => {
    expect(judgeTargets(runOf()).map(({ reached }) => reached)).to.deep.equal(TARGETS.map(() => 'not measured'));
  });

  for (const [own, reached] of [
    [800, 'aim'],
    [799, 'at least'],
    [400, 'at least'],
    [399, 'no'],
  ] as const) {
    it(`one operation at ${own} against 100 of naive: ${reached}`, () => {
      const variants = [variant('ours-mixed-1x64', rates(own)), variant('naive-mixed-1x64', rates(100))];
      const verdicts = judged({ part: 'push', tookS: 1, variants }, /64 connections/);
      expect(verdicts).to.deep.equal([[reached, own / 100]]);
    });
  }

  it('with an upper limit are reached from below', () => {
    const part = (mb: number) => ({
      part: 'push',
      tookS: 1,
      variants: [variant('ours-mixed-50x8', [{ 'rss.api': mb }])],
    });
    expect(judged(part(119), /Memory of the api/)).to.deep.equal([['aim', 119]]);
    expect(judged(part(179), /Memory of the api/)).to.deep.equal([['at least', 179]]);
    expect(judged(part(181), /Memory of the api/)).to.deep.equal([['no', 181]]);
  });

  it('are not reached by a division by nothing', () => {
    const variants = [variant('ours-mixed-1x64', rates(10)), variant('naive-mixed-1x64', rates(0))];
    expect(judged({ part: 'push', tookS: 1, variants }, /64 connections/)).to.deep.equal([['not measured', undefined]]);
  });

  it('of pulls compare at the largest size that both were measured with', () => {
    const rows = (rowsPerS: number) => [{ rowsPerS }];
    const variants = [
      variant('lines-1000x8', rows(1)),
      variant('rxdb-1000x8', rows(1)),
      variant('rxdb-1000x1', rows(1)),
      variant('lines-100000x8', rows(60)),
      variant('rxdb-100000x8', rows(30)),
      variant('rxdb-100000x1', rows(30)),
      variant('lines-1000000x8', rows(50)),
      variant('copy-1000000x8', rows(100)),
      variant('copy-1000000x1', rows(100)),
    ];
    const part = { part: 'pull', tookS: 1, variants };
    expect(judged(part, /8 clients: against RxDB/)).to.deep.equal([['at least', 2]]);
    expect(judged(part, /8 clients: of COPY/)).to.deep.equal([['at least', 50]]);
  });
});

describe('failures of a run', () => {
  it('are those of the product and of whole parts, not those of peers', () => {
    const variants = [variant('ours-a', [], 'it broke'), variant('rxdb-a', [], 'not installed')];
    const run = runOf(
      { part: 'push', tookS: 1, variants },
      { part: 'pull', tookS: 1, variants: [], failure: 'no disk' },
    );
    expect(failuresOf(run)).to.deep.equal(['push, label of ours-a: it broke', 'pull: no disk']);
  });
});

describe('tables and charts', () => {
  it('align their columns and keep a bar in its cell', () => {
    expect(
      markdownTable(
        ['', 'n'],
        [
          ['a|b', '1'],
          ['c', '1,000'],
        ],
      ),
    ).to.equal(['|      |     n |', '| ---- | ----: |', '| a\\|b |     1 |', '| c    | 1,000 |'].join('\n'));
  });

  it('write numbers with three digits that mean something', () => {
    const shown = [0.01234, 1.2345, 99.95, 123.4, 1_234.5, 0, Number.NaN, Number.POSITIVE_INFINITY].map(formatNumber);
    expect(shown).to.deep.equal(['0.0123', '1.23', '100', '123', '1,235', '0', '-', '-']);
  });

  it('draw bars in proportion, and escape labels', () => {
    const bars = [
      { label: '<a> & "b"', value: 100, isOurs: true },
      { label: 'half', value: 50, isOurs: false },
    ];
    const svg = barChart([{ title: 'T', bars }], String);
    const widths = [...svg.matchAll(/<rect [^>]*width="(\d+)"/g)].map(([, width]) => Number(width));
    expect(widths[0]).to.equal(2 * (widths[1] ?? 0));
    expect(svg).to.include('&lt;a&gt; &amp; &quot;b&quot;');
    expect(svg.match(/<text/g)).to.have.length(svg.match(/<\/text>/g)?.length ?? 0);
  });
});
