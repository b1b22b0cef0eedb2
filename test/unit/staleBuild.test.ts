// What npm runs before each of its scripts, in an installation without development dependencies: compiled code of other sources does not run.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../../../', import.meta.url));

describe('compiled code without a compiler', () => {
  let folder: string;
  const write = (file: string, text: string) => {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), text);
  };
  const build = (...parameters: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, [join(folder, 'scripts/build.mjs'), ...parameters], {
      encoding: 'utf8',
    });
    return { status, stderr };
  };
  const silent = { status: 0, stderr: '' };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'task-sync-build-'));
    for (const file of ['src/main.ts', 'workers/main.ts']) write(file, 'export const answer = 42;\n');
    mkdirSync(join(folder, 'scripts'));
    for (const file of ['package.json', 'scripts/build.mjs']) copyFileSync(join(root, file), join(folder, file));
    // A compiler that compiles nothing is enough to build, and can be pruned.
    write('node_modules/typescript/package.json', '{}');
    write('node_modules/typescript/bin/tsc', '');
    write('dist/src/main.js', '');
    expect(build()).to.deep.equal(silent);
    rmSync(join(folder, 'node_modules'), { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('runs when it was built from the sources that are there, without a word', () => {
    expect(build('--if-stale')).to.deep.equal(silent);
    rmSync(join(folder, 'workers'), { recursive: true });
    expect(build('--if-stale'), 'some of the sources').to.deep.equal(silent);
    rmSync(join(folder, 'src'), { recursive: true });
    expect(build('--if-stale'), 'none of the sources').to.deep.equal(silent);
  });

  it('is refused when a source has changed, come or gone since, however old its file is', () => {
    const refusal = /^dist\/ was built from other sources \(changed since: src\), .*Run `npm ci && npm run build`.*\n$/;
    write('src/main.ts', 'export const answer = 43;\n');
    spawnSync('touch', ['-d', '2001-01-01', join(folder, 'src/main.ts')]);
    expect(build('--if-stale').stderr).to.match(refusal);
    expect(build('--if-stale').status).to.equal(1);
    write('src/main.ts', 'export const answer = 42;\n');
    expect(build('--if-stale')).to.deep.equal(silent);
    write('src/other.ts', '');
    expect(build('--if-stale').stderr).to.match(refusal);
  });

  it('runs with a warning when nobody knows what it was built from', () => {
    rmSync(join(folder, 'dist/.built'));
    const { status, stderr } = build('--if-stale');
    expect(status).to.equal(0);
    expect(stderr).to.match(/does not say from which sources it was built/);
  });

  it('that is missing is named, and building without a compiler fails', () => {
    expect(build().stderr).to.match(/^The TypeScript compiler is not installed\./);
    rmSync(join(folder, 'dist'), { recursive: true });
    expect(build('--if-stale').stderr).to.match(/^There is nothing to run: dist\/ is missing/);
  });
});
