// All scenarios, in the order of their numbers. A new one is written beside the others and listed here.
import type { Scenario } from '../scenario.js';
import { badNetwork } from './badNetwork.js';
import { clockJumps } from './clockJumps.js';
import { clocks } from './clocks.js';
import { duplicateJobs } from './duplicateJobs.js';
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
import { poison } from './poison.js';
import { postgresRestarts, postgresSessions } from './postgresFaults.js';
import { reconnectStorm } from './reconnectStorm.js';
import { redisClients, redisDown, redisNever } from './redisFaults.js';
import { rollingDeploy } from './rollingDeploy.js';
import { slowClients } from './slowClients.js';
import { soak } from './soak.js';
import { laggingStandby, restoredBackup } from './takeovers.js';
import { twoInstallations } from './twoInstallations.js';
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
  lostCommits,
  redisClients,
  zombieWorker,
  halfOpen,
  badNetwork,
  rollingDeploy,
  duplicateJobs,
  clocks,
  poison,
  fullRedis,
  noConnections,
  fullDisk,
  overload,
  reconnectStorm,
  soak,
  fuzz,
  slowClients,
  logCanaries,
  laggingStandby,
  restoredBackup,
  twoInstallations,
  clockJumps,
];
