// The parts by name, each with what it is called.
import type { PartName } from '../arguments.js';
import type { Bench } from '../bench.js';
import { measureCrud } from './crud.js';
import { measureGrowth } from './growth.js';
import { measureIdle } from './idle.js';
import { measureLatency } from './latency.js';
import { measureLive } from './live.js';
import { measurePull } from './pull.js';
import { measurePush } from './push.js';
import { measureWorkers } from './workers.js';

export const PARTS: Record<PartName, (bench: Bench) => Promise<void>> = {
  push: measurePush,
  latency: measureLatency,
  workers: measureWorkers,
  pull: measurePull,
  live: measureLive,
  crud: measureCrud,
  idle: measureIdle,
  growth: measureGrowth,
};
