// Scenario 26: what users write and what opens doors is in no log line at info level and above, neither in good times nor when PostgreSQL
// refuses rows and quotes them, is killed, or Redis is away. `rounds` counts the rounds of traffic in each state.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readChildren, startLauncher, waitForBanner } from '../../support/launcher.js';
import { freePort } from '../../support/ports.js';
import { type Canaries, makeCanaries, refuseAndQuote, sendCanaries } from '../abuse/canaryTraffic.js';
import { type Client, createClient } from '../client.js';
import { CheckFailed, endStack } from '../phases.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { type Stack, startStack } from '../stack.js';

/** Requests to a database that is away are answered within its time limits. */
const REQUEST_TIMEOUT_MS = 15_000;
/** What jobs and the reconciler may still have to say after a fault. */
const AFTERMATH_MS = 3_000;
/** PostgreSQL logs what it refuses, and a refusal may quote the row: its log is as confidential as its data. */
const SERVER_LOGS = /^(postgres|redis)\.log/;

export const logCanaries: Scenario = {
  number: 26,
  name: 'log-canaries',
  title: 'what users write and tokens appear in no log, whatever fails',
  backends: ['redis', 'postgres'],
  options: { durationMs: 0, devices: 0, operations: 0, apis: 1, workers: 1, rounds: 10 },
  short: { rounds: 3 },
  async run(context) {
    const canaries = makeCanaries();
    const client = createClient(REQUEST_TIMEOUT_MS);
    const stack = await startStack(context, {
      ...context.options,
      env: { ADMIN_TOKEN: canaries.token, RETRY_BASE_MS: '50', RETRY_CAP_MS: '200' },
    });
    await runTroubles(context, stack, client, canaries);
    const findings = await endStack(stack, context.measures.notes);
    findings.push(...searchFolder(context.folder, canaries, ['api-', 'worker-']));
    findings.push(...(await runLauncher(context, client, canaries)));
    client.close();
    if (findings.length > 0) throw new CheckFailed(findings);
  },
};

async function runTroubles(context: ScenarioContext, stack: Stack, client: Client, canaries: Canaries) {
  const url = stack.apis()[0]?.url ?? '';
  let round = 0;
  const traffic = async () => {
    for (let count = 0; count < context.options.rounds; count += 1) {
      round += 1;
      await sendCanaries(client, url, canaries, round);
      context.countFault('round of canaries');
    }
  };
  await traffic();
  await refuseAndQuote(stack.databaseUrl);
  await traffic();
  await sleep(AFTERMATH_MS);
  // In the middle of it, so that there are requests and jobs under way.
  const beside = traffic();
  await stack.postgres.end('SIGKILL');
  context.countFault('kill -9 of PostgreSQL');
  await beside;
  await stack.postgres.start();
  await stack.redis?.end('SIGKILL');
  await traffic();
  await stack.redis?.start();
  await sleep(AFTERMATH_MS);
}

/** The same under `npm start`, whose terminal shows warnings. */
async function runLauncher(context: ScenarioContext, client: Client, canaries: Canaries): Promise<string[]> {
  const dataDir = join(context.folder, 'data');
  const port = await freePort();
  const launcher = startLauncher({ dataDir, port, backend: context.backend, env: { ADMIN_TOKEN: canaries.token } });
  await waitForBanner(launcher);
  await sendCanaries(client, `http://127.0.0.1:${port}`, canaries, 1);
  const beside = sendCanaries(client, `http://127.0.0.1:${port}`, canaries, 2);
  const database = readChildren(dataDir).find(({ name }) => name === 'PostgreSQL');
  if (database === undefined) throw new Error('the launcher has no PostgreSQL');
  process.kill(database.pid, 'SIGKILL');
  await beside;
  await sendCanaries(client, `http://127.0.0.1:${port}`, canaries, 3);
  await sleep(AFTERMATH_MS);
  await launcher.stop('SIGINT');
  const shown = search(launcher.output(), canaries).map((what) => `the terminal shows ${what}`);
  const logs = join(dataDir, 'logs');
  return [
    ...shown,
    ...searchFolder(
      logs,
      canaries,
      readdirSync(logs).filter((name) => !SERVER_LOGS.test(name)),
    ),
  ];
}

/** Searches the logs whose names begin so; one that is empty proves nothing and is a finding as well. */
function searchFolder(folder: string, canaries: Canaries, beginnings: string[]): string[] {
  const names = readdirSync(folder).filter(
    (name) => /\.log/.test(name) && beginnings.some((each) => name.startsWith(each)),
  );
  return names.flatMap((name) => {
    const text = readFileSync(join(folder, name), 'utf8');
    return [
      ...(text.length === 0 ? [`${name} is empty`] : []),
      ...search(text, canaries).map((what) => `${name} has ${what}`),
    ];
  });
}

/** The secrets in a text, with the first line that has them. */
function search(text: string, canaries: Canaries): string[] {
  return Object.entries(canaries).flatMap(([where, canary]) => {
    const line = text.split('\n').find((each) => each.includes(canary));
    return line === undefined ? [] : [`the canary of ${where}: ${line.slice(0, 600)}`];
  });
}
