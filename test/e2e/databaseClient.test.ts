// What db:dump takes; what it writes is tried in npm.test.ts.
import { expect } from 'chai';
import { startProcess } from '../support/processes.js';

describe('npm run db:dump', () => {
  async function dump(...parameters: string[]) {
    const entry = 'scripts/databaseClient.js';
    const run = startProcess({ name: 'db:dump', entry, env: {}, parameters: ['dump', ...parameters] });
    const { code } = await run.exited;
    return { code, output: run.output() };
  }

  for (const parameters of [
    ['--format=custom'],
    ['-Fc'],
    ['-'],
    ['a.dump', '--format=plain'],
    ['a.dump', 'b.dump'],
    [''],
  ]) {
    it(`refuses ${JSON.stringify(parameters)}, which is not one file`, async () => {
      const { code, output } = await dump(...parameters);
      expect(code).to.equal(1);
      expect(output).to.match(/takes the name of a file and no options .*Usage: npm run db:dump -- \[file\]/s);
    });
  }

  it('prints its usage for --help', async () => {
    const { code, output } = await dump('--help');
    expect(code).to.equal(0);
    expect(output).to.match(/^Usage: npm run db:dump -- \[file\]/);
  });
});
