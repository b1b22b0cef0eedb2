// docs/performance.md and its chart, from a run. Pure: the same result gives the same files, which a test holds the repository to.
import { PART_NAMES } from '../arguments.js';
import { machineLine } from '../machine.js';
import { findVariant, type RunResult, spreadOfMetric } from '../results.js';
import { type Bar, type BarGroup, barChart } from './chart.js';
import { PART_TABLES } from './columns.js';
import { moreCores } from './moreCores.js';
import { partSection } from './partSection.js';
import { formatNumber, markdownTable } from './table.js';
import { judgeTargets, type Verdict } from './targets.js';

const HOW_TO_READ = `Every number is the median over the rounds of one run, with the lowest and the highest round in brackets; ratios are of medians. Compare
within this run only: another machine, another day, another neighbour on the same host give other numbers. In every round each variant is measured
once, in turns, so that a slow minute is slow for all of them.

- **Everything is real:** the compiled api and worker processes with their default settings, HTTP over keep-alive connections from a separate
  process, a PostgreSQL and a Redis that each part starts for itself as \`npm start\` does (fsync, synchronous_commit and full_page_writes on,
  shared_buffers 128 MB; append-only file, fsync every second). The load generator, the servers and the databases share the cores.
- **What counts:** an operation counts when its outcome has been answered. Operations that were accepted but not applied within the
  wait (202), and requests that were told to come later (429, 503), are counted beside it, in columns that appear when there are any.
- **Statistics:** when everything is prepared the databases are vacuumed and analyzed once, as autovacuum would within a minute.
- **p50 and p99** are exact: every answer of a round is kept and sorted.
- **CPU** is user and system time from /proc over the measured seconds, by process (PostgreSQL with all its backends), divided by the operations. It
  needs Linux; elsewhere the columns are missing. **MB** is the highest resident memory seen.
- **The load** comes over undici, whose requests cost the generator half of what node:http's do. autocannon was looked at and left out: it repeats
  requests that were made beforehand, while here every operation is new and two of the protocols need what the answer before said.

The peers do the same work in their own protocols, on the same machine in the same rounds:

- **naive** (bench/peers/naive.ts): Express and Sequelize, findByPk and save for each operation in the request; same PostgreSQL, no queue, no log, no
  idempotency, no validation.
- **PouchDB server** (express-pouchdb 4, PouchDB 9, LevelDB, which does not sync each write): \`_bulk_docs\` and \`_changes\` with documents. A losing update
  carries an old revision.
- **RxDB server** (rxdb-server 15.22 with RxDB 15, the last that it runs with; memory storage, nothing durable): the replication endpoint. A losing
  update carries a state that is not the server's.
- **one SQL statement:** idempotency key, log and guarded upsert of a batch as one prepared statement over four connections, without HTTP, validation,
  queue or answer: what PostgreSQL itself takes.
- **the same code without a queue:** the product's api, whose jobs the worker's processor applies in the same process.`;

const WHERE_IT_GOES = `What a target that is not reached is short of, by process and by function, and what was tried:
[0021](decisions/0021-outcomes-told-with-the-wake-up.md#what-is-short-of-its-target), [0014](decisions/0014-small-requests.md#where-the-time-goes),
[0012](decisions/0012-hot-path.md).`;

const NOT_MEASURED = 'Nothing has been published yet: `npm run bench -- --publish` measures and writes this page.';

export function performanceDocument(run: RunResult): string {
  const sections = PART_NAMES.flatMap((name) => {
    const part = run.parts.find((each) => each.part === name);
    if (part === undefined) return [];
    const more = name === 'workers' ? moreCores(run) : undefined;
    return [partSection(part, PART_TABLES[name]), ...(more === undefined ? [] : [more])];
  });
  const page = [
    '# Performance',
    'Written by `npm run bench -- --publish`; do not edit. [operations.md](operations.md#sizing) says what follows from it for a deployment.',
    provenance(run),
    '## How to read this',
    HOW_TO_READ,
    '## Targets',
    targetTable(judgeTargets(run)),
    WHERE_IT_GOES,
    ...(chartOf(run).length === 0 ? [] : ['![Pushes and pulls beside the peers](performance.svg)']),
    ...sections,
    '## Measure it yourself',
    `\`\`\`sh\nnpm ci\n${run.command}\n\`\`\``,
    '`npm run bench -- --help` lists the parts and the options; `--quick` takes under three minutes and shows only that everything runs.',
  ];
  return `${page.join('\n\n')}\n`;
}

export function performanceChart(run: RunResult): string {
  return barChart(chartOf(run), formatNumber);
}

/** What a terminal shows of a run. */
export function runSummary(run: RunResult): string {
  const sections = run.parts.flatMap((part) => {
    const name = PART_NAMES.find((each) => each === part.part);
    return name === undefined ? [] : [partSection(part, PART_TABLES[name])];
  });
  return [provenance(run), ...sections, '## Targets', targetTable(judgeTargets(run))].join('\n\n');
}

function provenance(run: RunResult): string {
  if (run.parts.length === 0) return NOT_MEASURED;
  const { startedAt, commit, command, rounds, measureMs, machine } = run;
  const rest = `${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${measureMs / 1_000} s, commit ${commit}`;
  return `Measured on ${startedAt.slice(0, 10)} with \`${command}\`: ${rest}.\n\n${machineLine(machine)}.`;
}

function targetTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ target, measured, reached }) => [
    target.what,
    target.isLimit ? `at most ${target.atLeast}` : target.atLeast,
    target.isLimit ? `at most ${target.aim}` : target.aim,
    measured === undefined ? '' : `${formatNumber(measured)} ${target.unit}`,
    reached,
  ]);
  return markdownTable(['What', 'At least', 'Aim', 'Measured', 'Reached'], rows);
}

const PUSHES = [
  ['ours-mixed-50x8', 'Task Sync'],
  ['ours-pg-mixed-50x8', 'Task Sync, queue on PostgreSQL'],
  ['naive-mixed-50x8', 'naive'],
  ['pouchdb-mixed-50x8', 'PouchDB server'],
  ['rxdb-mixed-50x8', 'RxDB server (in memory)'],
  ['raw-mixed-50x4', 'one SQL statement'],
] as const;
const LATENCIES = [
  ['ours-unloaded-1', 'Task Sync'],
  ['naive-unloaded-1', 'naive'],
  ['pouchdb-unloaded-1', 'PouchDB server'],
  ['rxdb-unloaded-1', 'RxDB server (in memory)'],
] as const;
const PULLS = [
  ['lines-100000x8', 'Task Sync'],
  ['pouchdb-100000x8', 'PouchDB server'],
  ['rxdb-100000x8', 'RxDB server (in memory)'],
  ['copy-100000x8', 'COPY through psql'],
] as const;

function chartOf(run: RunResult): BarGroup[] {
  const group = (
    title: string,
    part: string,
    metric: string,
    bars: readonly (readonly [string, string])[],
  ): BarGroup => ({
    title,
    bars: bars.flatMap(([key, label]): Bar[] => {
      const value = spreadOfMetric(findVariant(run, part, key), metric)?.median;
      return value === undefined ? [] : [{ label, value, isOurs: label.startsWith('Task Sync') }];
    }),
  });
  return [
    group('Push: operations a second (50 a request, 8 connections, mixed)', 'push', 'operationsPerS', PUSHES),
    group('One unloaded operation: p50 in ms (less is better)', 'latency', 'p50Ms', LATENCIES),
    group('Bootstrap: rows a second (100,000 tasks, 8 clients)', 'pull', 'rowsPerS', PULLS),
  ].filter(({ bars }) => bars.length > 0);
}
