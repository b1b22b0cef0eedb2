// The scripts of package.json: each ends as its command, so that npm's signals reach that and not a shell in between.
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { isCommandOfNpm } from '../../config/npmScript.js';

const { scripts }: { scripts: Record<string, string> } = JSON.parse(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
);

describe('the scripts of package.json', () => {
  for (const [name, script] of Object.entries(scripts)) {
    it(`${name} is replaced by its last command`, () => {
      expect(script.split('&&').at(-1)?.trim()).to.match(/^exec \S/);
    });
  }
});

describe('whether npm runs this process itself', () => {
  const entry = '/srv/task-sync/dist/src/api/main.js';
  for (const [script, expected] of [
    ['exec node dist/src/api/main.js', true],
    ['node ./dist/src/api/main.js', true],
    ['cd task-sync && node --max-old-space-size=300 dist/src/api/main.js', true],
    ['node dist/src/api/main.js &', false],
    ['nohup node dist/src/api/main.js >api.log 2>&1 &', false],
    ['node dist/workers/main.js', false],
    ['node main.js', true],
    ['node i/main.js', false],
    ['sh deploy.sh', false],
    [undefined, false],
  ] as const) {
    it(`${expected ? 'yes' : 'no'}: ${script}`, () => {
      expect(isCommandOfNpm({ npm_lifecycle_script: script }, entry)).to.equal(expected);
    });
  }
});
