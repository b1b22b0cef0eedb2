// Everything on this machine. It talks to a person: sentences, no stack traces for what was foreseen.
// Ctrl-C (or SIGTERM, a closed terminal, or the end of npm) stops everything in order; a second Ctrl-C at once.
import { ConfigError, loadConfig, readEnvironment } from '../../config/index.js';
import { onStopRequest } from '../stopRequests.js';
import { describeSummary } from './banner.js';
import { launch } from './launch.js';
import { createReleasers } from './releasers.js';
import { describeFileFault, describeRemoval, StartError } from './startError.js';

/** npm hands a Ctrl-C on to its script, which got it from the terminal already: two signals within this time are one. */
const SAME_SIGNAL_MS = 500;

class StopRequest extends Error {}

const say = (line: string) => void process.stdout.write(`${line}\n`);
const controller = new AbortController();
let failed = false;
/** The data folder, once everything runs on it. */
let usedFolder: string | undefined;

/** The sentences for a fault; the stack only of one that nobody foresaw. */
function describeFault(error: unknown): string {
  if (error instanceof StartError || error instanceof ConfigError) return error.message;
  const removal = usedFolder === undefined ? undefined : describeRemoval(error, usedFolder);
  const fileFault = removal ?? describeFileFault(error);
  if (fileFault !== undefined) return fileFault;
  return `Task Sync ended because of a fault in itself: ${error instanceof Error ? error.stack : error}`;
}

function fail(error: unknown): void {
  if (failed || error instanceof StopRequest) return;
  failed = true;
  process.stderr.write(`\n${describeFault(error)}\n`);
  controller.abort(error);
}

function listenForStop(): void {
  let stoppingSince: number | undefined;
  onStopRequest((reason) => {
    if (stoppingSince === undefined) {
      stoppingSince = Date.now();
      const how = reason === 'SIGINT' ? '' : ` (${reason})`;
      say(`\nStopping${how} ... (Ctrl-C again to end everything at once)`);
      controller.abort(new StopRequest());
      // Only a person presses twice: service managers repeat the other signals, and so does npm.
    } else if (reason === 'SIGINT' && Date.now() - stoppingSince > SAME_SIGNAL_MS) {
      say('Ended at once.');
      process.exit(1);
    }
  });
}

function aborted(signal: AbortSignal): Promise<unknown> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

/** Starts everything, and ends the process when everything has stopped. */
export async function runAll(): Promise<void> {
  const releasers = createReleasers((error) => process.stderr.write(`${describeFault(error)}\n`));
  process.on('uncaughtException', fail);
  listenForStop();
  try {
    const env = readEnvironment();
    const summary = await launch({
      config: loadConfig(env),
      env,
      say,
      signal: controller.signal,
      giveUp: fail,
      releasers,
    });
    usedFolder = summary.dataDir;
    say(describeSummary(summary, process.stdout.hasColors?.() ?? false));
    await aborted(controller.signal);
  } catch (error) {
    fail(error);
  }
  await releasers.releaseAll();
  if (!failed) say('Everything has stopped.');
  process.exit(failed ? 1 : 0);
}
