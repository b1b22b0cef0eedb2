// What the command line asks for, and the sizes that follow from it. Pure.
import { parseArgs } from 'node:util';

export const PART_NAMES = ['push', 'latency', 'workers', 'pull', 'live', 'crud', 'idle', 'growth'] as const;
export type PartName = (typeof PART_NAMES)[number];

/** Everything that decides how long a run takes. */
export interface Settings {
  parts: readonly PartName[];
  rounds: number;
  /** Each measurement: not counted before it, counted in it. */
  warmUpMs: number;
  measureMs: number;
  isQuick: boolean;
  /** Number of tasks in the pulled workspaces; the peers get those up to `peerTasksMax`. */
  pullSizes: readonly number[];
  peerTasksMax: number;
  /** Rows in the log before the pushes of the part growth. */
  logSizes: readonly number[];
  /** Tasks in one workspace, for the part growth. */
  largeWorkspace: number;
  streams: number;
  /** Operations that wait when the workers of the part workers start. */
  backlog: number;
  /** Writes docs/performance.md, docs/performance.svg and bench/results/published.json. */
  publishes: boolean;
  /** Renders an earlier run instead of measuring. */
  from: string | undefined;
}

/** What is wrong with the command line, in one sentence. */
export class ArgumentError extends Error {
  override name = 'ArgumentError';
}

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  full: { type: 'boolean', default: false },
  publish: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  from: { type: 'string' },
} as const;

export const USAGE = `npm run bench -- [parts] [--quick] [--full] [--rounds N] [--seconds N] [--publish] [--from FILE]
  parts      ${PART_NAMES.join(' ')} (all)
  --quick    small sizes, one round, under 3 minutes: shows that everything runs, its numbers mean little
  --full     10^7 rows in the log as well (part growth; several GB of disk)
  --rounds   rounds of each variant (3); the variants take turns within a round
  --seconds  of each measurement (3)
  --publish  writes docs/performance.md, docs/performance.svg and bench/results/published.json
  --from     renders this earlier result instead of measuring`;

/** @throws ArgumentError */
export function readArguments(given: readonly string[]): Settings {
  const { values, positionals } = parse(given);
  const isQuick = values.quick;
  const parts = positionals.map(readPart);
  const measureMs = 1_000 * readNumber('seconds', values.seconds, isQuick ? 0.5 : 3, 0.1, 600);
  const sizes = isQuick ? QUICK_SIZES : FULL_SIZES;
  return {
    ...sizes,
    logSizes: values.full ? [...sizes.logSizes, 10_000_000] : sizes.logSizes,
    parts: parts.length === 0 ? PART_NAMES : PART_NAMES.filter((name) => parts.includes(name)),
    rounds: Math.round(readNumber('rounds', values.rounds, isQuick ? 1 : 3, 1, 100)),
    warmUpMs: Math.min(1_000, measureMs / 2),
    measureMs,
    isQuick,
    publishes: values.publish,
    from: values.from,
  };
}

const FULL_SIZES = {
  pullSizes: [1_000, 100_000, 1_000_000],
  // RxDB's memory storage and LevelDB's loading of a million documents take minutes and gigabytes, and scale as they do at 100,000.
  peerTasksMax: 100_000,
  logSizes: [0, 100_000, 1_000_000],
  largeWorkspace: 1_000_000,
  streams: 2_000,
  backlog: 20_000,
};

const QUICK_SIZES = {
  pullSizes: [1_000],
  peerTasksMax: 1_000,
  logSizes: [0, 10_000],
  largeWorkspace: 10_000,
  streams: 100,
  backlog: 2_000,
};

function parse(given: readonly string[]) {
  try {
    return parseArgs({ args: [...given], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new ArgumentError(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

function readPart(name: string): PartName {
  const found = PART_NAMES.find((each) => each === name);
  if (found === undefined) throw new ArgumentError(`There is no part ${name}.\n${USAGE}`);
  return found;
}

function readNumber(name: string, text: string | undefined, fallback: number, min: number, max: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (value >= min && value <= max) return value;
  throw new ArgumentError(`--${name} is a number from ${min} to ${max} (it is ${text}).\n${USAGE}`);
}
