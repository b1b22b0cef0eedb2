// Entry of `npm run chaos`: scenarios, each on servers and processes of its own.
//   npm run chaos                                 all of them, with a new seed
//   npm run chaos -- kill-workers --seed 7        some of them, with the seed that a run has printed
//   npm run chaos -- soak --minutes 30            how long the soak lasts (5)
//   npm run chaos -- --list                       what there is
//   --backend postgres                            the queue in PostgreSQL, where the scenario makes sense with it
//   --scale 0.2                                   a fifth of the time and of the operations
//   --lanes 1                                     how many at a time (2; those that measure how fast something is run alone)
// A failing scenario leaves its folder. The last line is `N passed, N failed`.
import { randomInt } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { onStopRequest } from '../../src/stopRequests.js';
import type { Backend } from '../support/environment.js';
import { describeResult, describeTable } from './report.js';
import { type Planned, runInLanes } from './runInLanes.js';
import type { ScenarioResult } from './runScenario.js';
import type { Scenario, ScenarioOptions } from './scenario.js';
import { SCENARIOS } from './scenarios/index.js';

const MINUTE_MS = 60_000;
/** Each keeps about one core busy. */
const LANES = 2;
const say = (line: string) => void process.stdout.write(`${line}\n`);

interface Order {
  scenarios: Scenario[];
  seed: number;
  minutes: number | undefined;
  scale: number;
  backend: Backend | undefined;
  lanes: number;
}

function readOrder(): Order | undefined {
  const { values, positionals } = parseArgs({
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string' },
      scale: { type: 'string' },
      lanes: { type: 'string' },
      backend: { type: 'string' },
      list: { type: 'boolean' },
    },
    allowPositionals: true,
  });
  if (values.list === true) {
    for (const { number, name, title } of SCENARIOS) say(`${String(number).padStart(2)}  ${name.padEnd(22)} ${title}`);
    return undefined;
  }
  const isNamed = ({ number, name }: Scenario, wanted: string) => name === wanted || String(number) === wanted;
  const unknown = positionals.filter((wanted) => !SCENARIOS.some((each) => isNamed(each, wanted)));
  if (unknown.length > 0) throw new Error(`No scenario is called ${unknown.join(', ')}; --list shows what there is.`);
  const scenarios = SCENARIOS.filter(
    (each) => positionals.length === 0 || positionals.some((wanted) => isNamed(each, wanted)),
  );
  if (values.backend !== undefined && values.backend !== 'redis' && values.backend !== 'postgres') {
    throw new Error('--backend is redis or postgres');
  }
  return {
    scenarios,
    seed: readNumber('seed', values.seed) ?? randomInt(1, 1_000_000),
    minutes: readNumber('minutes', values.minutes),
    scale: readNumber('scale', values.scale) ?? 1,
    backend: values.backend,
    lanes: Math.ceil(readNumber('lanes', values.lanes) ?? LANES),
  };
}

function readNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!Number.isFinite(number) || number <= 0) throw new Error(`--${name} is a number above 0`);
  return number;
}

/** What the command line changes of a scenario's options. */
function optionsOf({ options, name }: Scenario, { minutes, scale }: Order): Partial<ScenarioOptions> {
  if (name === 'soak' && minutes !== undefined) {
    const durationMs = minutes * MINUTE_MS;
    return { durationMs, operations: Math.ceil((options.operations * durationMs) / options.durationMs) };
  }
  if (scale === 1) return {};
  return {
    durationMs: Math.round(options.durationMs * scale),
    operations: Math.ceil(options.operations * scale),
    ...(options.rounds > 0 ? { rounds: Math.max(1, Math.round(options.rounds * scale)) } : {}),
  };
}

function planOf(order: Order, parentFolder: string): Planned[] {
  return order.scenarios.flatMap((scenario) => {
    const backend = order.backend ?? scenario.backends[0];
    if (!scenario.backends.includes(backend)) return [];
    return [{ scenario, run: { seed: order.seed, backend, options: optionsOf(scenario, order), parentFolder } }];
  });
}

function runAll(order: Order, folder: string, signal: AbortSignal): Promise<ScenarioResult[]> {
  return runInLanes(planOf(order, folder), order.lanes, signal, {
    onStart: ({ scenario, run }) =>
      say(
        `${scenario.number} ${scenario.name}: ${scenario.title}\n  seed ${run.seed}, queue on ${run.backend}, ${JSON.stringify({ ...scenario.options, ...run.options })}`,
      ),
    onLine: ({ scenario }, line) => say(`  ${scenario.number} ${scenario.name}: ${line}`),
    onResult: ({ run }, result) => {
      say(`  ${describeResult(result)}`);
      if (result.fault !== undefined) sayFault(result, order, run.backend);
    },
  });
}

function sayFault({ fault, folder, scenario, seed }: ScenarioResult, { scale, minutes }: Order, backend: Backend) {
  const scaled = scale === 1 ? '' : ` --scale ${scale}`;
  const lasting = minutes === undefined ? '' : ` --minutes ${minutes}`;
  say(`  ${fault?.replaceAll('\n', '\n  ')}`);
  say(`  database, logs and operations: ${folder}`);
  say(`  again: npm run chaos -- ${scenario.name} --seed ${seed} --backend ${backend}${scaled}${lasting}`);
}

async function main(): Promise<number> {
  const order = readOrder();
  if (order === undefined) return 0;
  const folder = mkdtempSync(join(tmpdir(), 'task-sync-chaos-'));
  chmodSync(folder, 0o755);
  const controller = new AbortController();
  onStopRequest(() => controller.abort(new Error('The run was stopped.')));
  const results = await runAll(order, folder, controller.signal);
  const failed = results.filter((result) => result.fault !== undefined).length;
  if (failed === 0) rmSync(folder, { recursive: true, force: true });
  say(`\n${describeTable(results)}\n`);
  say(`${results.length - failed} passed, ${failed} failed`);
  return failed > 0 || controller.signal.aborted ? 1 : 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    say(error instanceof Error ? error.message : String(error));
    process.exit(2);
  },
);
