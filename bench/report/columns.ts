// What the tables of each part show. Pure data.
import type { PartName } from '../arguments.js';

export interface Column {
  title: string;
  metric: string;
  /** Shows min and max beside the median. */
  hasSpread?: boolean;
  /** Left out where it is zero or missing in every row. */
  isOptional?: boolean;
}

export interface PartTable {
  title: string;
  intro: string;
  columns: readonly Column[];
  /** Key of the variant that the others are shown as a multiple of, by the first column. */
  base?: string;
}

const PROCESSES = ['api', 'worker', 'peer', 'postgres', 'redis', 'generator'];
const cpuColumns = PROCESSES.map((name): Column => ({ title: `${name} us`, metric: `cpu.${name}`, isOptional: true }));
const rssColumns = ['api', 'worker', 'peer'].map(
  (name): Column => ({ title: `${name} MB`, metric: `rss.${name}`, isOptional: true }),
);

const TROUBLE: readonly Column[] = [
  { title: 'refused', metric: 'refused', isOptional: true },
  { title: 'not yet applied', metric: 'pending', isOptional: true },
  { title: 'errors', metric: 'errors', isOptional: true },
];
const LATENCY: readonly Column[] = [
  { title: 'p50 ms', metric: 'p50Ms' },
  { title: 'p99 ms', metric: 'p99Ms' },
];
const OPERATIONS: Column = { title: 'operations/s', metric: 'operationsPerS', hasSpread: true };

export const PART_TABLES: Record<PartName, PartTable> = {
  push: {
    title: 'Push',
    intro:
      'Operations a request x connections. p50 and p99 are of requests, CPU is microseconds an operation. Mixed day: 55 % updates that win, 20 % creates, 10 % updates that lose, 5 % deletes, 10 % resends.',
    columns: [OPERATIONS, ...LATENCY, ...cpuColumns, ...rssColumns, ...TROUBLE],
    base: 'naive-mixed-50x8',
  },
  latency: {
    title: 'Latency',
    intro:
      'One device, one request at a time. Half load: eight devices push 50 operations at a time at half the rate that they reach alone. The rows of 50 operations are these eight, those of one are 50 single operations a second beside them.',
    columns: [
      { title: 'p50 ms', metric: 'p50Ms', hasSpread: true },
      { title: 'p99 ms', metric: 'p99Ms', hasSpread: true },
      { title: 'max ms', metric: 'maxMs' },
      ...TROUBLE,
    ],
  },
  workers: {
    title: 'Workers',
    intro:
      'A backlog of single batches, enqueued at once, until nothing is pending. On few cores a second worker competes with PostgreSQL for them.',
    columns: [OPERATIONS, ...cpuColumns, ...rssColumns],
    base: '1-workers-100-workspaces',
  },
  pull: {
    title: 'Pull',
    intro: `The last changes: 100 of them, after a cursor. CPU is microseconds a row. COPY writes the same JSON; psql counts as generator.`,
    columns: [
      { title: 'rows/s', metric: 'rowsPerS', hasSpread: true },
      { title: 'MB/s', metric: 'megabytesPerS' },
      ...cpuColumns,
      ...rssColumns,
    ],
  },
  live: {
    title: 'Live',
    intro:
      "From the commit of the applying transaction (PostgreSQL's own time of it, taken just before the commit is flushed), and from the sending of the push, to the event on a stream.",
    columns: [
      { title: 'commit to event p50 ms', metric: 'commitToEventP50Ms', hasSpread: true },
      { title: 'p99 ms', metric: 'commitToEventP99Ms', hasSpread: true },
      { title: 'push to event p50 ms', metric: 'pushToEventP50Ms', hasSpread: true },
      { title: 'p99 ms', metric: 'pushToEventP99Ms', hasSpread: true },
      { title: 'events', metric: 'events' },
      ...rssColumns,
    ],
  },
  crud: {
    title: 'Single tasks',
    intro: 'Eight connections. CPU is microseconds a request.',
    columns: [
      { title: 'requests/s', metric: 'operationsPerS', hasSpread: true },
      ...LATENCY,
      ...cpuColumns,
      ...TROUBLE,
    ],
  },
  idle: {
    title: 'Idle',
    intro: 'Memory, and milliseconds of CPU time a second.',
    columns: ['api', 'worker', 'postgres', 'redis'].flatMap((name): Column[] => [
      { title: `${name} MB`, metric: `rss.${name}` },
      { title: `${name} ms/s`, metric: `cpuMsPerS.${name}` },
    ]),
  },
  growth: {
    title: 'Growth',
    intro: 'The mixed day, 50 x 8, on workspaces of different ages.',
    columns: [OPERATIONS, ...LATENCY, ...cpuColumns, ...TROUBLE],
    base: 'log-0',
  },
};
