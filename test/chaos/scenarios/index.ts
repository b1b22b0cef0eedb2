// All scenarios, in the order of their numbers. A new one is written beside the others and listed here.
import type { Scenario } from '../scenario.js';
import { badNetwork } from './badNetwork.js';
import { flushRedis } from './flushRedis.js';
import { fullDisk } from './fullDisk.js';
import { fullRedis } from './fullRedis.js';
import { fuzz } from './fuzz.js';
import { halfOpen } from './halfOpen.js';
import { killApis } from './killApis.js';
import { killEverything } from './killEverything.js';
import { killWorkers } from './killWorkers.js';
import { logCanaries } from './logCanaries.js';
import { lostCommits } from './lostCommits.js';
import { noConnections } from './noConnections.js';
import { overload } from './overload.js';
import { postgresRestarts, postgresSessions } from './postgresFaults.js';
import { redisClients, redisDown, redisNever } from './redisFaults.js';
import { slowClients } from './slowClients.js';

export const SCENARIOS: readonly Scenario[] = [
  killWorkers,
  killApis,
  killEverything,
  flushRedis,
  redisDown,
  redisNever,
  postgresRestarts,
  postgresSessions,
  lostCommits,
  redisClients,
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
