// A selection of the chaos suite at a fraction of its length: each scenario that says how it runs short. `npm run chaos` runs them all.
import { randomInt } from 'node:crypto';
import { expect } from 'chai';
import { describeResult } from '../chaos/report.js';
import { runScenario } from '../chaos/runScenario.js';
import { SCENARIOS } from '../chaos/scenarios/index.js';
import { requireRunFolder, runnerEnvironment, testBackend } from '../support/environment.js';

const LIMIT_MS = 120_000;
const seed = Number(runnerEnvironment.TEST_SEED ?? randomInt(1, 1_000_000));

describe(`the chaos suite, short, with the seed ${seed}`, function () {
  this.timeout(LIMIT_MS);
  for (const scenario of SCENARIOS) {
    const { name, title, short, backends } = scenario;
    if (short === undefined || !backends.includes(testBackend)) continue;
    it(`${name}: ${title}`, async () => {
      const result = await runScenario(scenario, {
        seed,
        backend: testBackend,
        options: short,
        parentFolder: requireRunFolder(),
        signal: new AbortController().signal,
        say: () => undefined,
      });
      expect(
        result.fault,
        `${describeResult(result)}\nagain: TEST_SEED=${seed} npm test -- e2e/chaos --grep ${name}\n`,
      ).to.equal(undefined);
    });
  }
});
