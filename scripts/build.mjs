// Compiles everything to dist/ and removes what has no source any more.
// --if-stale: only when the sources are others than those of the last build; a production install has no compiler and runs its dist/ as it is,
// if that was built from its sources.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = join(root, 'dist', '.built');
const folders = ['src', 'workers', 'config', 'test', 'scripts', 'bench'];

/** Ends with a sentence. npm runs this before each of its scripts, so that none of them is begun by a Node that is too old. */
function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

function requireNode() {
  const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace(/^>=/, '');
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor] = wanted.split('.').map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  fail(
    `Task Sync needs Node ${wanted} or later; this is Node ${process.versions.node} (${process.execPath}). Install a newer one from https://nodejs.org.`,
  );
}

/** Every file below `folder` that ends in `ending`, with its full path; what npm installed for the benchmark's peers is no source. */
function filesBelow(folder, ending) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(path, ending);
    return entry.isFile() && entry.name.endsWith(ending) ? [path] : [];
  });
}

/** A checksum for each folder of sources that is here: a production install may have none, or only some. */
function describeSources() {
  const described = {};
  for (const folder of folders) {
    const files = filesBelow(join(root, folder), '.ts').sort();
    if (files.length === 0) continue;
    const hash = createHash('sha256');
    for (const file of [...files, join(root, 'tsconfig.json')]) {
      if (existsSync(file))
        hash
          .update(`${relative(root, file)}\0`)
          .update(readFileSync(file))
          .update('\0');
    }
    described[folder] = hash.digest('hex');
  }
  return described;
}

/** What the last build was made from; undefined where nobody knows. */
function readStamp() {
  try {
    return JSON.parse(readFileSync(stamp, 'utf8'));
  } catch {
    return undefined;
  }
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

/** Without a compiler: whether what was compiled is what the sources say. */
function checkCompiled(changed, built) {
  const missing = 'the TypeScript compiler is not installed';
  const remedy = 'Run `npm ci && npm run build` (with development dependencies); `npm prune --omit=dev` may follow.';
  if (!existsSync(join(root, 'dist', 'src')))
    fail(`There is nothing to run: dist/ is missing and ${missing}. ${remedy}`);
  if (changed.length === 0) return;
  if (built !== undefined) {
    fail(`dist/ was built from other sources (changed since: ${changed.join(', ')}), and ${missing}. ${remedy}`);
  }
  process.stderr.write(
    `dist/ does not say from which sources it was built, and ${missing}: it runs as it is. ${remedy}\n`,
  );
}

requireNode();
const onlyIfStale = process.argv.includes('--if-stale');
const sources = describeSources();
const built = readStamp();
const changed = Object.keys(sources).filter((folder) => sources[folder] !== built?.[folder]);
const compiler = findCompiler();
if (compiler === undefined) {
  if (!onlyIfStale)
    fail('The TypeScript compiler is not installed. Run `npm ci` (with development dependencies) first.');
  checkCompiled(changed, built);
  process.exit(0);
}
if (onlyIfStale && built !== undefined && changed.length === 0 && existsSync(join(root, 'dist', 'src')))
  process.exit(0);

const compiled = spawnSync(process.execPath, [compiler, '--project', root], { stdio: 'inherit' });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
removeOrphans();
writeFileSync(stamp, `${JSON.stringify(sources)}\n`);
