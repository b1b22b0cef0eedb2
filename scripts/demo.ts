// Replays a recorded day of three devices against a running server and says what became of every edit: `npm run demo`.
// The recording is examples/offline-day.json; the server is the `npm start` that runs on DATA_DIR, else the one of PORT
// and HOST, or `-- --url http://host:port`. Where that holds tasks
// already it asks first (`-- --yes` agrees); `-- --clean` removes what demos have made.
import { parseArgs } from 'node:util';
import { v4 } from 'uuid';
import { ConfigError, loadConfig } from '../config/index.js';
import { readApiAddress, urlOf } from '../src/embedded/apiAddress.js';
import { matchOutcomes, type Outcome, tallyOutcomes } from './demo/outcomes.js';
import { askToWrite, cleanUp } from './demo/ownership.js';
import { createRun, prepareBatch, type Run } from './demo/prepareRun.js';
import { createProgress, formatPace, formatTable, formatVerdict } from './demo/printReport.js';
import { type Device, type Recording, readRecording } from './demo/recording.js';
import { DemoProblem, sendBatch } from './demo/sendBatch.js';
import { chooseConflicts, findConflicts, tellConflict } from './demo/tellConflicts.js';

const print = (text: string) => process.stdout.write(`${text}\n`);

/** The address from --url, else of the `npm start` that runs on DATA_DIR, else the one that is configured. */
function readBaseUrl(url: string | undefined): string {
  if (url !== undefined) {
    if (URL.canParse(url) && /^https?:/.test(url)) return url;
    throw new DemoProblem(`--url must be an address like http://127.0.0.1:5000 (it is "${url}").`);
  }
  const { host, port, dataDir } = loadConfig();
  return readApiAddress(dataDir) ?? urlOf(host, port);
}

function readOptions(): { url?: string; yes?: boolean; clean?: boolean } {
  try {
    return parseArgs({ options: { url: { type: 'string' }, yes: { type: 'boolean' }, clean: { type: 'boolean' } } })
      .values;
  } catch {
    throw new DemoProblem('Usage: npm run demo [-- [--url http://127.0.0.1:5000] [--yes | --clean]]');
  }
}

function openRecording(): Recording {
  try {
    return readRecording();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DemoProblem(`The recording cannot be read (${reason}). Make it with \`npm run demo:record\`.`);
  }
}

async function replay(recording: Recording, baseUrl: string): Promise<void> {
  const run = createRun(recording, v4(), Date.now());
  const outcomes: Outcome[] = [];
  const elapsedMs = new Map<Device, number>();
  const progress = createProgress(process.stdout, recording.batches.length);
  try {
    for (const batch of recording.batches) {
      const startedAt = performance.now();
      const answer = await sendBatch(baseUrl, prepareBatch(batch, run, Date.now()));
      elapsedMs.set(batch.device, (elapsedMs.get(batch.device) ?? 0) + performance.now() - startedAt);
      outcomes.push(...matchOutcomes(batch, answer));
      progress.advance(outcomes.length, batch.note);
    }
  } finally {
    progress.end();
  }
  report(recording, run, outcomes, elapsedMs);
}

function report(recording: Recording, run: Run, outcomes: readonly Outcome[], elapsedMs: ReadonlyMap<Device, number>) {
  const totalMs = [...elapsedMs.values()].reduce((sum, ms) => sum + ms, 0);
  print(`\n${formatTable(tallyOutcomes(outcomes, elapsedMs))}\n`);
  print(formatPace(recording.batches.length, totalMs));
  for (const { device, item, fate, answer } of outcomes) {
    if (fate !== 'rejected') continue;
    print(`Rejected: a ${item.operation} from the ${device}: ${answer?.message ?? 'no reason given'}.`);
  }
  const conflicts = chooseConflicts(findConflicts(outcomes, run));
  print(`\nThe most telling conflicts (times of ${recording.recorded_day}, UTC):`);
  for (const [index, conflict] of conflicts.entries()) {
    print(`${index + 1}. ${tellConflict(conflict, recording.recorded_day)}`);
  }
  print(`\n${formatVerdict(outcomes)}`);
  if (outcomes.some(({ fate }) => fate === 'unanswered')) process.exitCode = 1;
}

try {
  const options = readOptions();
  const recording = openRecording();
  const baseUrl = readBaseUrl(options.url);
  if (options.clean) {
    const { deleted, kept } = await cleanUp(baseUrl, recording);
    const rest =
      kept === 0 ? '' : ` ${kept} that ${kept === 1 ? 'was' : 'were'} changed since ${kept === 1 ? 'stays' : 'stay'}.`;
    print(`Removed ${deleted} tasks of earlier demos.${rest}`);
  } else {
    await askToWrite(baseUrl, options.yes === true, { input: process.stdin, output: process.stdout });
    print(`Replaying ${recording.recorded_day}, one day of three devices, on ${baseUrl}`);
    await replay(recording, baseUrl);
  }
} catch (error) {
  if (!(error instanceof DemoProblem || error instanceof ConfigError)) throw error;
  print(error.message);
  process.exitCode = 1;
}
