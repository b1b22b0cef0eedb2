// A Node that is too old gets a sentence and no stack trace, whatever was started: by npm (scripts/build.mjs runs before each script) or directly.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = new URL('../../../', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, root), 'utf8');
const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'));
const ENTRIES = ['src/api/main', 'workers/main', 'src/migrate', 'src/embedded/main'];

/** Runs a file as if by another version of Node. */
function runAs(version: string, file: string, ...parameters: string[]) {
  const versions = `{ value: { ...process.versions, node: '${version}' } }`;
  const preload = `data:text/javascript,Object.defineProperty(process, 'versions', ${versions})`;
  return spawnSync(process.execPath, ['--import', preload, fileURLToPath(new URL(file, root)), ...parameters], {
    encoding: 'utf8',
  });
}

describe('a Node that is too old', () => {
  for (const file of ['scripts/build.mjs', ...ENTRIES.map((entry) => `dist/${entry}.js`)]) {
    for (const version of ['18.20.8', '20.18.3']) {
      it(`${version} gets a sentence from ${file}`, () => {
        const { status, stderr, stdout } = runAs(version, file, '--if-stale');
        expect(stderr).to.match(
          /^Task Sync needs Node 20\.19 or later; this is Node \d+\.\d+\.\d+ \(.*\)\. Install .*\n$/,
        );
        expect({ status, stdout }).to.deep.equal({ status: 1, stdout: '' });
      });
    }
  }

  it('would fail on an import, so the entry files import nothing else before', () => {
    for (const entry of ENTRIES) {
      const imports = [...read(`dist/${entry}.js`).matchAll(/^import .*'(.*)'/gm)].map(([, from = '']) => from);
      expect(imports, entry).to.have.length(1);
      expect(imports[0], entry).to.match(/\/requireNode\.js$/);
    }
    const imports = [...read('dist/src/requireNode.js').matchAll(/^import .*'(.*)'/gm)].map(([, from]) => from);
    expect(imports).to.deep.equal(['node:fs']);
  });

  it('is found before each npm script that runs compiled code', () => {
    for (const [name, script] of Object.entries(scripts)) {
      if (!script.includes('node dist/') || script.startsWith('npm run build')) continue;
      expect(scripts[`pre${name}`], name).to.match(/^exec node scripts\/build\.mjs/);
    }
  });

  it('is not this one, nor a later one', () => {
    expect(existsSync(new URL('dist', root))).to.equal(true);
    for (const version of ['20.19.0', '24.1.0', '26.0.0']) {
      expect(runAs(version, 'scripts/build.mjs', '--if-stale').status, version).to.equal(0);
    }
  });
});
