// All scenarios, in the order of their numbers. A new one is written beside the others and listed here.
import type { Scenario } from '../scenario.js';
import { fuzz } from './fuzz.js';
import { killWorkers } from './killWorkers.js';
import { logCanaries } from './logCanaries.js';
import { slowClients } from './slowClients.js';

export const SCENARIOS: readonly Scenario[] = [killWorkers, fuzz, slowClients, logCanaries];
