// All scenarios, in the order of their numbers. A new one is written beside the others and listed here.
import type { Scenario } from '../scenario.js';
import { badNetwork } from './badNetwork.js';
import { fullDisk } from './fullDisk.js';
import { fullRedis } from './fullRedis.js';
import { fuzz } from './fuzz.js';
import { halfOpen } from './halfOpen.js';
import { killWorkers } from './killWorkers.js';
import { logCanaries } from './logCanaries.js';
import { lostCommits } from './lostCommits.js';
import { noConnections } from './noConnections.js';
import { overload } from './overload.js';
import { slowClients } from './slowClients.js';

export const SCENARIOS: readonly Scenario[] = [
  killWorkers,
  lostCommits,
  halfOpen,
  badNetwork,
  fullRedis,
  noConnections,
  fullDisk,
  overload,
  fuzz,
  slowClients,
  logCanaries,
];
