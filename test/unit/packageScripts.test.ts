// The scripts of package.json: each ends as its command, so that npm's signals reach that and not a shell in between.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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

describe('package.json', () => {
  it('allows the install scripts of exactly the packages that have some, so that npm has nothing to warn of', () => {
    const read = (file: string) => JSON.parse(readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8'));
    const packages: Record<string, { hasInstallScript?: boolean }> = read('package-lock.json').packages;
    const withScripts = Object.entries(packages).flatMap(([path, { hasInstallScript }]) =>
      hasInstallScript ? [path.replace(/^.*node_modules\//, '')] : [],
    );
    const allowed: Record<string, boolean> = read('package.json').allowScripts;
    expect(Object.keys(allowed)).to.have.members(withScripts);
  });
});

describe('.gitignore and .dockerignore', () => {
  it('know each data folder that a message of the product suggests', () => {
    const src = fileURLToPath(new URL('../../../src', import.meta.url));
    const suggested = readdirSync(src, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => [...readFileSync(join(src, file), 'utf8').matchAll(/DATA_DIR=\.\/([\w.-]+)/g)])
      .map(([, folder = '']) => folder);
    expect(suggested).to.include('.data-2');
    for (const file of ['.gitignore', '.dockerignore']) {
      const patterns = readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8').split('\n');
      const ignored = patterns.filter((line) => line !== '').map((line) => line.replace(/\/$/, ''));
      for (const folder of suggested) {
        const isIgnored = ignored.some((each) =>
          new RegExp(`^${each.replaceAll('.', '\\.').replace('*', '.*')}$`).test(folder),
        );
        expect(isIgnored, `${folder} in ${file}`).to.equal(true);
      }
    }
  });
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
