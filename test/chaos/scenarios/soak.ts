// Scenario 23: half load for a long time. The heap after garbage collection, the keys of Redis and the bloat of tables stay bounded (I8).
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { queryDatabase } from '../../support/postgres.js';
import { pauseUntil } from '../fleet.js';
import { type Run, runPhases } from '../phases.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { type Place, startStack } from '../stack.js';

const PRELOAD = fileURLToPath(new URL('../preload/reportHeap.js', import.meta.url));
const SAMPLES = 30;
const REPORT_LIMIT_MS = 10_000;
const REPORT_POLL_MS = 20;
/** Of a process over the last two thirds, by the fitted line: caches fill in the first. */
const HEAP_GROWTH_LIMIT_MB = 10;
/** 200 finished and at most 1,000 failed jobs are kept, with few keys each. */
const REDIS_KEYS_LIMIT = 3_000;
/** Updates of a page of rows leave dead ones until autovacuum comes by, once a minute. */
const TABLE_GROWTH_LIMIT = 2;
const SMALL_TABLE_BYTES = 4 * 1_048_576;

interface Sample {
  at: number;
  heapMb: Map<string, number>;
  redisKeys: number;
  tasksBytes: number;
}

export const soak: Scenario = {
  number: 23,
  name: 'soak',
  title: 'half load for a long time (--minutes)',
  backends: ['redis', 'postgres'],
  options: { durationMs: 300_000, devices: 20, operations: 45_000, apis: 1, workers: 2, rounds: 0 },
  async run(context) {
    const nodeParameters = ['--expose-gc', '--import', PRELOAD];
    const stack = await startStack(context, {
      ...context.options,
      apiNodeParameters: nodeParameters,
      workerNodeParameters: nodeParameters,
    });
    const samples: Sample[] = [];
    await runPhases(context, {
      stack,
      faults: (run) => sampleAll(context, run, samples),
      check: () => checkSamples(context, samples),
    });
    await stack.stopServers();
  },
};

async function sampleAll(context: ScenarioContext, run: Run, samples: Sample[]) {
  const { redis, databaseUrl, places } = run.stack;
  const admin = redis === undefined ? undefined : new Redis(redis.url);
  try {
    const everyMs = (run.until - Date.now()) / SAMPLES;
    while (Date.now() + everyMs <= run.until) {
      await pauseUntil(Date.now() + everyMs, context.signal);
      const [size] = await queryDatabase<{ bytes: number }>(
        databaseUrl,
        "SELECT pg_total_relation_size('tasks')::float8 AS bytes",
      );
      const heaps = await Promise.all(
        places.map(async (place) => [place.name, await askHeap(place, context.signal)] as const),
      );
      samples.push({
        at: Date.now(),
        heapMb: new Map(heaps),
        redisKeys: (await admin?.dbsize()) ?? 0,
        tasksBytes: size?.bytes ?? 0,
      });
    }
  } finally {
    admin?.disconnect();
  }
}

/** The heap of a process after garbage collection, in MB. */
async function askHeap(place: Place, signal: AbortSignal): Promise<number> {
  // Each report has a number: of what is kept of the output the beginning goes now and then.
  const last = () =>
    [
      ...place
        .process()
        .output()
        .matchAll(/heap after collection (\d+): (\d+)/g),
    ].at(-1);
  const before = Number(last()?.[1] ?? 0);
  place.process().signal('SIGUSR2');
  for (const until = Date.now() + REPORT_LIMIT_MS; Date.now() < until; ) {
    await pauseUntil(Date.now() + REPORT_POLL_MS, signal);
    const [, number, bytes] = last() ?? [];
    if (Number(number ?? 0) > before) return Number(bytes) / 1_048_576;
  }
  throw new Error(`${place.name} does not report its heap`);
}

function checkSamples({ measures: { notes } }: ScenarioContext, samples: readonly Sample[]): string[] {
  const found: string[] = [];
  const later = samples.slice(Math.floor(samples.length / 3));
  for (const name of later[0]?.heapMb.keys() ?? []) {
    const points = later.map(({ at, heapMb }) => ({ x: at, y: heapMb.get(name) ?? 0 }));
    const grownMb = slope(points) * ((points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0));
    notes[`heap of ${name} MB`] = `${points[0]?.y.toFixed(1)} -> ${points.at(-1)?.y.toFixed(1)}`;
    if (grownMb > HEAP_GROWTH_LIMIT_MB) found.push(`the heap of ${name} grows: ${grownMb.toFixed(1)} MB`);
  }
  const keys = Math.max(0, ...later.map(({ redisKeys }) => redisKeys));
  notes['most Redis keys'] = keys;
  if (keys > REDIS_KEYS_LIMIT) found.push(`Redis held ${keys} keys`);
  const [first, last] = [later[0]?.tasksBytes ?? 0, later.at(-1)?.tasksBytes ?? 0];
  notes['tasks table MB'] = `${(first / 1_048_576).toFixed(1)} -> ${(last / 1_048_576).toFixed(1)}`;
  if (last > SMALL_TABLE_BYTES && last > TABLE_GROWTH_LIMIT * first)
    found.push(`the tasks table grew from ${first} to ${last} bytes`);
  return found;
}

/** Of the line fitted by least squares. */
function slope(points: readonly { x: number; y: number }[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(points.map((point) => point.x));
  const y = mean(points.map((point) => point.y));
  const above = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0);
  const below = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
  return below === 0 ? 0 : above / below;
}
