// What was asked for, as ratios within one run, and whether it was reached: computed from the run, never written by hand. Pure.
import type { RunResult } from '../results.js';
import { flatness, medianAt, mostMemory, percent, pullRatio, push, ratio } from './ratios.js';

export interface Target {
  what: string;
  /** In words, as it was asked for. */
  atLeast: string;
  aim: string;
  unit: 'x' | '%' | 'ms' | 'MB';
  /** What counts; undefined where something of it was not measured. */
  measure(run: RunResult): number | undefined;
  /** Whether less is better. */
  isLimit?: boolean;
  limits: { atLeast: number; aim: number };
}

export interface Verdict {
  target: Target;
  measured: number | undefined;
  reached: 'aim' | 'at least' | 'no' | 'not measured';
}

/** Every target with its verdict. */
export function judgeTargets(run: RunResult): Verdict[] {
  return TARGETS.map((target) => {
    const measured = target.measure(run);
    return { target, measured, reached: judge(target, measured) };
  });
}

function judge({ limits, isLimit }: Target, measured: number | undefined): Verdict['reached'] {
  if (measured === undefined || !Number.isFinite(measured)) return 'not measured';
  const isWithin = (limit: number) => (isLimit ? measured <= limit : measured >= limit);
  if (isWithin(limits.aim)) return 'aim';
  return isWithin(limits.atLeast) ? 'at least' : 'no';
}

const CENTRE = push('ours-mixed-50x8');
const MIXED = 'Push of 50 operations, 8 connections, mixed';
const ONE = 'One unloaded operation';
const atLeast = (value: number, aim: number) => ({ limits: { atLeast: value, aim } });

export const TARGETS: readonly Target[] = [
  {
    what: `${MIXED}: against naive`,
    atLeast: '9 x',
    aim: '9 x',
    unit: 'x',
    measure: ratio(CENTRE, push('naive-mixed-50x8')),
    ...atLeast(9, 9),
  },
  {
    what: `${MIXED}: against PouchDB server`,
    atLeast: '1 x',
    aim: '1 x',
    unit: 'x',
    measure: ratio(CENTRE, push('pouchdb-mixed-50x8')),
    ...atLeast(1, 1),
  },
  {
    what: `${MIXED}: of the raw SQL limit`,
    atLeast: '45 %',
    aim: '45 %',
    unit: '%',
    measure: percent(ratio(CENTRE, push('raw-mixed-50x4'))),
    ...atLeast(45, 45),
  },
  {
    what: 'The same, creates: against RxDB server',
    atLeast: '-',
    aim: '1 x',
    unit: 'x',
    measure: ratio(push('ours-create-50x8'), push('rxdb-create-50x8')),
    ...atLeast(0, 1),
  },
  {
    what: 'The same, updates: against RxDB server',
    atLeast: '-',
    aim: '1 x',
    unit: 'x',
    measure: ratio(push('ours-update-50x8'), push('rxdb-update-50x8')),
    ...atLeast(0, 1),
  },
  {
    what: 'Push of one operation, 64 connections: against naive',
    atLeast: '4 x',
    aim: '8 x',
    unit: 'x',
    measure: ratio(push('ours-mixed-1x64'), push('naive-mixed-1x64')),
    ...atLeast(4, 8),
  },
  {
    what: `${ONE}, p50: more than naive`,
    atLeast: '3 ms',
    aim: '0 ms',
    unit: 'ms',
    isLimit: true,
    measure(run) {
      const [own, naive] = [
        medianAt(run, ['latency', 'ours-unloaded-1', 'p50Ms']),
        medianAt(run, ['latency', 'naive-unloaded-1', 'p50Ms']),
      ];
      return own === undefined || naive === undefined ? undefined : own - naive;
    },
    ...atLeast(3, 0),
  },
  {
    what: `${ONE}: p99 to p50`,
    atLeast: '4 x',
    aim: '4 x',
    unit: 'x',
    isLimit: true,
    measure: ratio(['latency', 'ours-unloaded-1', 'p99Ms'], ['latency', 'ours-unloaded-1', 'p50Ms']),
    ...atLeast(4, 4),
  },
  {
    what: 'Push of 50 operations, 32 connections: against no queue',
    atLeast: '0.6 x',
    aim: '0.8 x',
    unit: 'x',
    measure: ratio(push('ours-mixed-50x32'), push('without-queue-mixed-50x32')),
    ...atLeast(0.6, 0.8),
  },
  {
    what: `${MIXED}: naive's p99 to ours`,
    atLeast: '6 x',
    aim: '10 x',
    unit: 'x',
    measure: ratio(push('naive-mixed-50x8', 'p99Ms'), push('ours-mixed-50x8', 'p99Ms')),
    ...atLeast(6, 10),
  },
  ...[8, 1].flatMap((clients): Target[] => [
    {
      what: `Bootstrap as lines, ${clients} client${clients > 1 ? 's' : ''}: against RxDB server`,
      atLeast: '1.5 x',
      aim: '3 x',
      unit: 'x',
      measure: pullRatio('rxdb', clients),
      ...atLeast(1.5, 3),
    },
    {
      what: `Bootstrap as lines, ${clients} client${clients > 1 ? 's' : ''}: of COPY`,
      atLeast: '50 %',
      aim: '80 %',
      unit: '%',
      measure: percent(pullRatio('copy', clients)),
      ...atLeast(50, 80),
    },
  ]),
  {
    what: '2 workers against 1, 100 workspaces',
    atLeast: '1 x',
    aim: 'faster',
    unit: 'x',
    measure: ratio(
      ['workers', '2-workers-100-workspaces', 'operationsPerS'],
      ['workers', '1-workers-100-workspaces', 'operationsPerS'],
    ),
    ...atLeast(1, 1.05),
  },
  {
    what: 'Memory of the api at full load',
    atLeast: '180 MB',
    aim: '120 MB',
    unit: 'MB',
    isLimit: true,
    measure: mostMemory('api'),
    ...atLeast(180, 120),
  },
  {
    what: 'Memory of a worker at full load',
    atLeast: '150 MB',
    aim: '100 MB',
    unit: 'MB',
    isLimit: true,
    measure: mostMemory('worker'),
    ...atLeast(150, 100),
  },
  {
    what: 'Queue on PostgreSQL: against naive',
    atLeast: '3 x',
    aim: '6 x',
    unit: 'x',
    measure: ratio(push('ours-pg-mixed-50x8'), push('naive-mixed-50x8')),
    ...atLeast(3, 6),
  },
  {
    what: 'Growth: slowest, of a new database',
    atLeast: '80 %',
    aim: '80 %',
    unit: '%',
    measure: flatness,
    ...atLeast(80, 80),
  },
];
