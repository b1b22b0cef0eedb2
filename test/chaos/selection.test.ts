// A selection of the chaos suite at a fraction of its length: each scenario that says how it runs short. `npm run chaos` runs them all.
import { randomInt } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { expect } from 'chai';
import { requireRunFolder, runnerEnvironment, testBackend } from '../support/environment.js';
import { describeResult } from './report.js';
import { runScenario } from './runScenario.js';
import { SCENARIOS } from './scenarios/index.js';

// One listener for each device that waits.
const { signal } = new AbortController();
setMaxListeners(0, signal);
const LIMIT_MS = 120_000;
const seed = Number(runnerEnvironment.TEST_SEED ?? randomInt(1, 1_000_000));

describe(`the chaos suite, short, with the seed ${seed}`, function () {
  this.timeout(LIMIT_MS);
  for (const scenario of SCENARIOS) {
    const { name, title, short, backends, shortOn = [backends[0]] } = scenario;
    if (short === undefined || !shortOn.includes(testBackend)) continue;
    it(`${name}: ${title}`, async () => {
      const result = await runScenario(scenario, {
        seed,
        backend: testBackend,
        options: short,
        parentFolder: requireRunFolder(),
        signal,
        say: () => undefined,
      });
      expect(
        result.fault,
        `${describeResult(result)}\nagain: TEST_SEED=${seed} npm test -- chaos/selection --grep ${name}\n`,
      ).to.equal(undefined);
    });
  }
});
