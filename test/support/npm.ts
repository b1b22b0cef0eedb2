// The documented commands as people run them: through npm, in the repository.
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runnerEnvironment } from './environment.js';
import { startProcess, type TestProcess } from './processes.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Starts `npm run <script> -- <parameters>` with the npm that runs the tests. Its pid is npm's. */
export function startNpm(script: string, env: NodeJS.ProcessEnv, ...parameters: string[]): TestProcess {
  const npm = runnerEnvironment.npm_execpath;
  if (npm === undefined) throw new Error('npm_execpath is not set: start the tests with `npm test`');
  return startProcess({
    name: `npm run ${script}`,
    entry: pathToFileURL(npm).href,
    parameters: ['--prefix', ROOT, 'run', script, '--', ...parameters],
    env: { npm_config_update_notifier: 'false', ...env },
  });
}
