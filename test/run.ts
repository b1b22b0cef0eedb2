// Entry of `npm test`: unit tests once, integration and e2e tests once on each queue backend, then a short selection of the chaos suite on
// each, all on servers of its own.
//   npm test -- test/e2e/embedded.test.ts --grep port       only these files, only tests whose title matches
//   TEST_KEEP=1 npm test                                    leaves the database server and the databases of failed tests until the next run
//   TEST_DATABASE_URL=... REDIS_URL=... npm test            on these servers instead
// It ends with the line `N passed, N failed`.
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createReleasers } from '../src/embedded/releasers.js';
import { StartError } from '../src/embedded/startError.js';
import { onStopRequest } from '../src/stopRequests.js';
import { type Backend, runnerEnvironment } from './support/environment.js';
import type { MochaCounts } from './support/mochaChild.js';
import { createTurns, type MochaRun, runMocha } from './support/runMocha.js';
import { startTestServers, type TestServers } from './support/servers.js';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const UNIT_TIMEOUT_MS = 10_000;
/** A test that starts everything takes a few seconds, and twenty times that where others keep the machine busy: the limit is for what hangs. */
const TIMEOUT_MS = 180_000;
/** Of whole runs, several times what they take on an idle machine of two cores: what hangs is ended by the limit of its test. */
const UNIT_LIMIT_MS = 600_000;
const BACKEND_LIMIT_MS = 2_400_000;
const CHAOS_LIMIT_MS = 1_200_000;

const say = (line: string) => void process.stdout.write(`${line}\n`);
const isCi = ['true', '1'].includes(runnerEnvironment.CI ?? '');
const keepsFailed = runnerEnvironment.TEST_KEEP === '1';

/** The compiled test files of some kinds; with `wanted`, those whose path contains one of them. */
function findTests(kinds: string[], wanted: string[]): string[] {
  const patterns = wanted.map((each) => each.replace(/^(\.\/)?(dist\/)?/, '').replace(/\.[jt]s$/, ''));
  return readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((path) => kinds.includes(path.split(sep)[0] ?? '') && path.endsWith('.test.js'))
    .map((path) => join(FOLDER, path))
    .filter((path) => {
      const name = relative(join(FOLDER, '..'), path).replaceAll(sep, '/');
      return patterns.length === 0 || patterns.some((pattern) => name.includes(pattern));
    })
    .sort();
}

function planBackendRun(
  kind: 'integration and e2e' | 'chaos',
  backend: Backend,
  servers: TestServers,
  redisUrl: string | undefined,
): Omit<MochaRun, 'order'> {
  const env = {
    ...runnerEnvironment,
    TEST_BACKEND: backend,
    TEST_DATABASE_URL: servers.databaseUrl,
    TEST_REDIS_URL: redisUrl,
    TEST_FOLDER: servers.folder,
  };
  const title = `${kind}, queue on ${backend === 'redis' ? 'Redis' : 'PostgreSQL'}`;
  return { title, env, limitMs: kind === 'chaos' ? CHAOS_LIMIT_MS : BACKEND_LIMIT_MS };
}

/** All runs that the machine allows. Returns the counts, or throws what stopped the start of the servers. */
async function runAll(
  releasers: ReturnType<typeof createReleasers>,
  signal: AbortSignal,
  keep: () => boolean,
): Promise<MochaCounts[]> {
  const { values, positionals } = parseArgs({
    options: { grep: { type: 'string', short: 'g' } },
    allowPositionals: true,
  });
  const unit = findTests(['unit'], positionals);
  const others = findTests(['integration', 'e2e'], positionals);
  const chaos = findTests(['chaos'], positionals);
  if (unit.length + others.length + chaos.length === 0)
    throw new StartError(`No test file matches ${positionals.join(', ')}.`);
  const order = { grep: values.grep, color: process.stdout.hasColors?.() ?? false, forbidOnly: isCi };
  const turns = createTurns((text) => void process.stdout.write(text));
  const runs: Promise<MochaCounts>[] = [];
  const start = (run: Omit<MochaRun, 'order'>, files: string[], timeoutMs: number) => {
    if (files.length > 0) runs.push(runMocha({ ...run, order: { ...order, files, timeoutMs } }, turns.take(), signal));
  };
  start({ title: 'unit', env: runnerEnvironment, limitMs: UNIT_LIMIT_MS }, unit, UNIT_TIMEOUT_MS);
  if (others.length + chaos.length > 0) {
    const servers = await startTestServers({ env: runnerEnvironment, releasers, signal, say, keep });
    // Not beside the unit tests: their time limits are for an idle machine.
    await Promise.all(runs);
    if (typeof servers.redis === 'string') runs.push(Promise.resolve(describeMissingRedis(servers.redis)));
    for (const [kind, files] of [
      ['integration and e2e', others],
      ['chaos', chaos],
    ] as const) {
      start(planBackendRun(kind, 'postgres', servers, undefined), files, TIMEOUT_MS);
      if (typeof servers.redis !== 'string')
        start(planBackendRun(kind, 'redis', servers, servers.redis.url), files, TIMEOUT_MS);
      // One kind after the other: four runs at once would measure the machine, not the product.
      await Promise.all(runs);
    }
  }
  return Promise.all(runs);
}

/** One loud line; where the tests decide about a change (CI) also a failure. */
function describeMissingRedis(why: string): MochaCounts {
  const how = 'install it (`apt-get install redis-server`, `brew install redis`) or set REDIS_URL';
  say(`\n!!!!! The Redis half of the tests did NOT run: ${why}. To run it, ${how}. !!!!!\n`);
  return { passed: 0, failed: isCi ? 1 : 0, skipped: 0 };
}

async function main(): Promise<void> {
  const controller = new AbortController();
  const releasers = createReleasers((error) => say(`Not cleaned up: ${error}`));
  onStopRequest(() => controller.abort(new StartError('The tests were stopped.')));
  let counts: MochaCounts[];
  const total = (kind: keyof MochaCounts) => counts.reduce((sum, each) => sum + each[kind], 0);
  const keep = () => keepsFailed && counts !== undefined && total('failed') > 0;
  try {
    counts = await runAll(releasers, controller.signal, keep);
  } catch (error) {
    say(error instanceof StartError ? error.message : String(error instanceof Error ? error.stack : error));
    counts = [{ passed: 0, failed: 1, skipped: 0 }];
  }
  await releasers.releaseAll();
  if (total('failed') > 0 && !keepsFailed) say('TEST_KEEP=1 keeps the database of a failed test for a look at it.');
  const skipped = total('skipped');
  say(`${total('passed')} passed, ${total('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  process.exit(total('failed') > 0 ? 1 : 0);
}

await main();
