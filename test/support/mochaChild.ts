// One mocha run in a process of its own, started by test/run.ts, which gets the counts over the IPC channel. The process is not ended when the
// tests are: it ends by itself, unless a test has left something open, and then it says what and the run fails.
import { pathToFileURL } from 'node:url';
import Mocha from 'mocha';
import { cleanUpAll, failedFiles } from './cleanup.js';
import { describeProcesses, forgetProcesses } from './processes.js';

/** What an open handle may need to close after the last test. */
const LEAK_LIMIT_MS = 10_000;

export interface MochaOrder {
  files: string[];
  grep: string | undefined;
  timeoutMs: number;
  color: boolean;
  forbidOnly: boolean;
}

/** What a run says while it runs, so that whoever has to stop it knows how far it had got. */
export interface MochaProgress {
  counts: MochaCounts;
  /** The test or hook that runs now. */
  running?: string;
  /** A test that has just failed, with its error: the reporter shows these at the end only. */
  failure?: string;
}

export interface MochaResult {
  result: MochaCounts;
}

export interface MochaCounts {
  passed: number;
  failed: number;
  skipped: number;
}

const send = (message: MochaProgress | MochaResult) => process.send?.(message);

async function run(order: MochaOrder): Promise<MochaCounts> {
  const mocha = new Mocha({
    reporter: 'spec',
    timeout: order.timeoutMs,
    slow: 2_000,
    color: order.color,
    forbidOnly: order.forbidOnly,
    ...(order.grep === undefined ? {} : { grep: order.grep }),
    rootHooks: { afterAll: cleanUpAll },
  });
  for (const file of order.files) mocha.addFile(file);
  await mocha.loadFilesAsync();
  return new Promise((resolve) => {
    const count = (): MochaCounts => {
      const { passes = 0, failures = 0, pending = 0 } = runner.stats ?? {};
      return { passed: passes, failed: failures, skipped: pending };
    };
    const runner = mocha.run(() => resolve(count()));
    for (const event of ['test', 'hook'] as const) {
      runner.on(event, (each: Mocha.Runnable) => send({ counts: count(), running: each.fullTitle() }));
    }
    runner.on('test end', () => send({ counts: count() }));
    runner.on('fail', (test, error) => {
      send({ counts: count(), failure: `${test.fullTitle()}\n${error.stack ?? error.message}` });
      if (test.file !== undefined) failedFiles.add(pathToFileURL(test.file).href);
      const output = describeProcesses();
      if (output !== '') process.stdout.write(`${output}\n---\n`);
    });
    runner.on('suite end', (suite) => {
      if (suite.parent?.root === true) forgetProcesses();
    });
  });
}

function reportLeak(): void {
  const resources = process.getActiveResourcesInfo().join(', ');
  process.stdout.write(`\nThe tests have ended, but something they opened keeps the process alive: ${resources}\n`);
  process.exit(3);
}

// The runner is gone: nobody wants the result any more.
process.on('disconnect', () => process.exit(1));
process.once('message', async (order: MochaOrder) => {
  process.channel?.unref();
  try {
    send({ result: await run(order) });
  } catch (error) {
    // A file that cannot be loaded.
    process.stdout.write(`${error instanceof Error ? error.stack : error}\n`);
    send({ result: { passed: 0, failed: 1, skipped: 0 } });
  }
  setTimeout(reportLeak, LEAK_LIMIT_MS).unref();
});
