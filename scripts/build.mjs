// Compiles everything to dist/ and removes what has no source any more.
// --if-stale: only when a source is newer than the last build; a production install has no compiler and runs its dist/ as it is.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = join(root, 'dist', '.built');
const folders = ['src', 'workers', 'config', 'test', 'scripts', 'bench'];

/** Every file below `folder` that ends in `ending`, with its full path; what npm installed for the benchmark's peers is no source. */
function filesBelow(folder, ending) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(path, ending);
    return entry.isFile() && entry.name.endsWith(ending) ? [path] : [];
  });
}

function isStale() {
  if (!existsSync(stamp)) return true;
  const builtAt = statSync(stamp).mtimeMs;
  const sources = [join(root, 'tsconfig.json'), ...folders.flatMap((folder) => filesBelow(join(root, folder), '.ts'))];
  return sources.some((file) => statSync(file).mtimeMs > builtAt);
}

function findCompiler() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  } catch {
    return undefined;
  }
}

function removeOrphans() {
  for (const file of folders.flatMap((folder) => filesBelow(join(root, 'dist', folder), '.js'))) {
    const source = join(root, relative(join(root, 'dist'), file)).replace(/\.js$/, '.ts');
    if (!existsSync(source)) for (const orphan of [file, `${file}.map`]) rmSync(orphan, { force: true });
  }
}

const onlyIfStale = process.argv.includes('--if-stale');
const compiler = findCompiler();
if (compiler === undefined) {
  if (onlyIfStale && existsSync(join(root, 'dist', 'src'))) process.exit(0);
  process.stderr.write(
    'There is nothing to run: dist/ is missing and the TypeScript compiler is not installed. Run `npm ci` (with development dependencies) first.\n',
  );
  process.exit(1);
}
if (onlyIfStale && !isStale()) process.exit(0);

const compiled = spawnSync(process.execPath, [compiler, '--project', root], { stdio: 'inherit' });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
removeOrphans();
writeFileSync(stamp, '');
