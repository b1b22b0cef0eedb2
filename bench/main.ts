// Entry of `npm run bench`: measures the parts one after the other, each with servers of its own, prints the tables, and leaves a JSON file. Exit
// code 1 when a part of ours could not be measured; a peer that could not is a line in its table.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReleasers } from '../src/embedded/releasers.js';
import { onStopRequest } from '../src/stopRequests.js';
import { ArgumentError, type PartName, readArguments, type Settings, USAGE } from './arguments.js';
import { createGenerator } from './generator.js';
import { describeCommit, describeMachine, type Machine } from './machine.js';
import { PARTS } from './parts/index.js';
import { ROOT_FOLDER } from './processes.js';
import { performanceChart, performanceDocument, runSummary } from './report/document.js';
import { failuresOf, type PartResult, type RunResult, type VariantResult } from './results.js';
import { startServers } from './servers.js';

const RESULTS_FOLDER = join(ROOT_FOLDER, 'bench', 'results');
/** A part that hangs in spite of its own limits must not keep the others from being measured. */
const PART_LIMIT_MS = 45 * 60_000;
const QUICK_PART_LIMIT_MS = 150_000;

const say = (line: string) => void process.stdout.write(`${line}\n`);

/** Everything that a part starts is ended before the next one, however it ends. */
async function runPart(
  name: PartName,
  settings: Settings,
  stopping: AbortSignal,
  machine: Machine,
): Promise<PartResult> {
  const startedAt = performance.now();
  const releasers = createReleasers((error) => say(`  not cleaned up: ${error}`));
  const ending = new AbortController();
  const end = () => ending.abort(stopping.reason);
  stopping.addEventListener('abort', end, { once: true });
  const limitMs = settings.isQuick ? QUICK_PART_LIMIT_MS : PART_LIMIT_MS;
  const timer = setTimeout(() => ending.abort(new Error(`it took more than ${limitMs / 60_000} minutes`)), limitMs);
  const { signal } = ending;
  const tookS = () => Math.round((performance.now() - startedAt) / 1_000);
  const results: VariantResult[] = [];
  say(`\n${name}`);
  try {
    const servers = await startServers(releasers, signal);
    machine.postgres = servers.postgresVersion;
    machine.redis = 'version' in servers.redis ? servers.redis.version : `none (${servers.redis.why})`;
    const generator = createGenerator(releasers, signal);
    await PARTS[name]({ settings, servers, generator, results, releasers, signal, say });
    return { part: name, variants: results, tookS: tookS() };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    say(`  ${failure}`);
    return { part: name, variants: results, failure, tookS: tookS() };
  } finally {
    clearTimeout(timer);
    stopping.removeEventListener('abort', end);
    await releasers.releaseAll();
    say(`  (${tookS()} s)`);
  }
}

async function measure(settings: Settings, command: string, stopping: AbortSignal): Promise<RunResult> {
  const machine = describeMachine(tmpdir());
  const run: RunResult = {
    command,
    startedAt: new Date().toISOString(),
    commit: describeCommit(ROOT_FOLDER),
    machine,
    rounds: settings.rounds,
    measureMs: settings.measureMs,
    parts: [],
  };
  for (const name of settings.parts) {
    if (stopping.aborted) break;
    run.parts.push(await runPart(name, settings, stopping, machine));
  }
  return run;
}

function keep(run: RunResult): string {
  mkdirSync(RESULTS_FOLDER, { recursive: true });
  const file = join(RESULTS_FOLDER, `${run.startedAt.replaceAll(/[:.]/g, '-')}.json`);
  writeFileSync(file, `${JSON.stringify(run, null, 2)}\n`);
  return file;
}

function publish(run: RunResult) {
  const docs = join(ROOT_FOLDER, 'docs');
  writeFileSync(join(RESULTS_FOLDER, 'published.json'), `${JSON.stringify(run, null, 2)}\n`);
  writeFileSync(join(docs, 'performance.md'), performanceDocument(run));
  writeFileSync(join(docs, 'performance.svg'), performanceChart(run));
  say('Written: docs/performance.md, docs/performance.svg, bench/results/published.json');
}

async function main(given: string[]): Promise<number> {
  if (given.includes('--help')) {
    say(USAGE);
    return 0;
  }
  const settings = readArguments(given);
  const controller = new AbortController();
  onStopRequest(() => controller.abort(new Error('the run was stopped')));
  const command = `npm run bench${given.length === 0 ? '' : ` -- ${given.join(' ')}`}`;
  const run: RunResult =
    settings.from === undefined
      ? await measure(settings, command, controller.signal)
      : JSON.parse(readFileSync(settings.from, 'utf8'));
  say(`\n${runSummary(run)}\n`);
  if (settings.from === undefined) say(`The numbers of every round: ${keep(run)}`);
  const failures = controller.signal.aborted ? ['the run was stopped', ...failuresOf(run)] : failuresOf(run);
  if (settings.publishes && !controller.signal.aborted) publish(run);
  for (const failure of failures) say(`FAILED: ${failure}`);
  return failures.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof ArgumentError ? error.message : String(error instanceof Error ? error.stack : error));
  process.exitCode = 1;
}
