// All scenarios, in the order of their numbers. A new one is written beside the others and listed here.
import type { Scenario } from '../scenario.js';
import { badNetwork } from './badNetwork.js';
import { fuzz } from './fuzz.js';
import { halfOpen } from './halfOpen.js';
import { killWorkers } from './killWorkers.js';
import { logCanaries } from './logCanaries.js';
import { lostCommits } from './lostCommits.js';
import { slowClients } from './slowClients.js';

export const SCENARIOS: readonly Scenario[] = [
  killWorkers,
  lostCommits,
  halfOpen,
  badNetwork,
  fuzz,
  slowClients,
  logCanaries,
];
