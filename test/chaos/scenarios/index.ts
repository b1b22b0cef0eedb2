// All scenarios, in the order of their numbers. A new one is written beside the others and listed here.
import type { Scenario } from '../scenario.js';
import { clocks } from './clocks.js';
import { duplicateJobs } from './duplicateJobs.js';
import { flushRedis } from './flushRedis.js';
import { killApis } from './killApis.js';
import { killEverything } from './killEverything.js';
import { killWorkers } from './killWorkers.js';
import { poison } from './poison.js';
import { postgresRestarts, postgresSessions } from './postgresFaults.js';
import { reconnectStorm } from './reconnectStorm.js';
import { redisClients, redisDown, redisNever } from './redisFaults.js';
import { rollingDeploy } from './rollingDeploy.js';
import { soak } from './soak.js';
import { zombieWorker } from './zombieWorker.js';

export const SCENARIOS: readonly Scenario[] = [
  killWorkers,
  killApis,
  killEverything,
  flushRedis,
  redisDown,
  redisNever,
  postgresRestarts,
  postgresSessions,
  redisClients,
  zombieWorker,
  rollingDeploy,
  duplicateJobs,
  clocks,
  poison,
  reconnectStorm,
  soak,
];
