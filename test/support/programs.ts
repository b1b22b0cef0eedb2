// Programs that come with the system, which a test needs: on a developer's machine it is skipped without them, and says so; in CI it fails.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runnerEnvironment } from './environment.js';

/** The path of a program, by its names; undefined where there is none of them. */
export function findProgram(...names: string[]): string | undefined {
  const folders = (runnerEnvironment.PATH ?? '').split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

/** The browser that CHROME_PATH names, else Chromium or Chrome as the system has it. */
export const findBrowser = () =>
  runnerEnvironment.CHROME_PATH ?? findProgram('chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome');

/**
 * `describe`, but skipped where something is missing.
 * @param needed programs by what they are called, undefined where they are missing
 */
export function describeWith(needed: Record<string, string | undefined>, title: string, suite: () => void): void {
  const missing = Object.keys(needed).filter((name) => needed[name] === undefined);
  if (missing.length === 0) {
    describe(title, suite);
    return;
  }
  const sentence = `there is no ${missing.join(' and no ')} here; "${title}" is NOT tested`;
  if (runnerEnvironment.CI === 'true') {
    describe(title, () => {
      it('has what it needs', () => {
        throw new Error(sentence);
      });
    });
    return;
  }
  process.stdout.write(`\n***** SKIPPED: ${sentence} *****\n`);
  describe.skip(title, suite);
}
