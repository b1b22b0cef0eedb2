// The first import of each entry file, which imports everything else later: an older Node fails on those imports themselves, before any line of
// ours runs. So nothing newer than Node 12 may stand here; scripts/build.mjs says the same for what npm starts.
import { readFileSync } from 'node:fs';

const packageFile = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
const wanted = String(JSON.parse(packageFile).engines.node).replace(/^>=/, '');
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);

if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
  process.stderr.write(
    `Task Sync needs Node ${wanted} or later; this is Node ${process.versions.node} (${process.execPath}). Install a newer one from https://nodejs.org.\n`,
  );
  process.exit(1);
}
