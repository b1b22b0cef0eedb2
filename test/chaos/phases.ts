// The course of a scenario: warm-up, load with faults, heal, quiesce, check. What a scenario adds is its faults.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom } from '../support/oracle.js';
import { queryDatabase } from '../support/postgres.js';
import { checkCopies } from './checkCopies.js';
import { checkState } from './checkState.js';
import { createFleet, type Fleet, type FleetOptions, pauseUntil } from './fleet.js';
import { createHistory, type History } from './history.js';
import { followLive, type LiveStream } from './liveStream.js';
import { countPending, readState, type State } from './readState.js';
import type { ScenarioContext } from './scenario.js';
import { isAlive } from './servers.js';
import type { Stack } from './stack.js';
import { createTargets, type Targets } from './targets.js';
import { watchMemory } from './watchMemory.js';

/** What runs while faults are injected. */
export interface Run {
  stack: Stack;
  fleet: Fleet;
  history: History;
  targets: Targets;
  stream: LiveStream | undefined;
  /** When the load ends, in ms since 1970: faults end then too, unless they are counted. */
  until: number;
}

export interface Phases {
  stack: Stack;
  /** Beside the number of devices, operations and the time, which are the scenario's options. */
  load?: Partial<FleetOptions>;
  /** False: devices send to every api, ready or not. */
  honoursReadiness?: boolean;
  /** False where no stream can be kept. */
  hasStream?: boolean;
  /** Injects the faults; ends by itself at `run.until`, or after its rounds. */
  faults: (run: Run) => Promise<void>;
  /** Brings back what the faults took away. */
  heal?: (run: Run) => Promise<void>;
  /** Just before the processes are stopped in order. */
  beforeStop?: () => Promise<void>;
  /** Before the processes are stopped; throws or returns what is wrong besides. */
  check?: (run: Run, state: State) => Promise<string[]> | string[];
}

/** I5 of the issue: nothing is pending any more this long after the faults ended. */
export const RECOVERY_LIMIT_MS = 30_000;
const WARM_UP_MS = 2_000;
const POLL_MS = 50;

/** What a scenario has found to be wrong. */
export class CheckFailed extends Error {
  override name = 'CheckFailed';
  constructor(readonly findings: string[]) {
    super(`${findings.length} findings:\n${findings.map((each) => `  - ${each}`).join('\n')}`);
  }
}

/** Runs all phases on a started stack, and ends it. @throws CheckFailed */
export async function runPhases(context: ScenarioContext, phases: Phases): Promise<void> {
  const { stack } = phases;
  const { options, measures } = context;
  const history = createHistory(join(context.folder, 'operations.jsonl'));
  const targets = createTargets(phases.honoursReadiness !== false);
  for (const api of stack.apis()) targets.add(api.url);
  const { devices, operations, durationMs } = options;
  const fleet = createFleet(context, targets, history, { devices, operations, durationMs, ...phases.load });
  const streamRandom = createRandom(context.seed * 31 + 7);
  let stream: LiveStream | undefined;
  try {
    stream = phases.hasStream === false ? undefined : await followLive(targets, history, streamRandom);
    const living = fleet.live();
    // Seen by the first who waits for it, not by the process as a rejection that nobody handles.
    living.catch(() => undefined);
    await sleep(Math.min(WARM_UP_MS, durationMs / 5));
    const endMemory = watchMemory(() => stack.places, measures);
    const run: Run = { stack, fleet, history, targets, stream, until: Date.now() + durationMs * 0.9 };
    await phases.faults(run);
    await living;
    await phases.heal?.(run);
    const healedAt = Date.now();
    const late = await quiesce(run, healedAt);
    measures.recoveryMs = Date.now() - healedAt;
    const grown = endMemory();
    await fleet.pullToEnd();
    const state = await readState(stack.databaseUrl);
    await waitForStream(stream, state.seq);
    const findings = [
      ...late,
      ...history.violations,
      ...grown,
      ...checkState(state, history),
      ...(await checkCopies(state, { fleet, stream, apiUrl: await readyUrl(stack) })),
      ...((await phases.check?.(run, state)) ?? []),
      ...stack.unexpectedEnds,
    ];
    if (stream !== undefined) {
      measures.notes['stream reconnects'] = stream.reconnects();
      measures.notes['longest stream break ms'] = stream.longestBreakMs();
    }
    await stream?.close();
    fleet.close();
    await phases.beforeStop?.();
    findings.push(...(await endProcesses(stack, measures.notes)));
    if (findings.length > 0) throw new CheckFailed(findings);
  } finally {
    await stream?.close();
    fleet.close();
    targets.stop();
    measures.operations = history.operations.size;
    measures.acknowledged = [...history.operations.values()].filter(
      (each) => each.acknowledgedAtMs !== undefined,
    ).length;
    measures.resends = history.resends();
    history.flush();
  }
}

/** Until devices have all answers and nothing is pending. @returns what is late, in words */
async function quiesce({ fleet, stack }: Run, healedAt: number): Promise<string[]> {
  // Twice the limit, so that a late recovery is told from none.
  const until = healedAt + 2 * RECOVERY_LIMIT_MS;
  const late = await fleet.comeHome(2 * RECOVERY_LIMIT_MS).then(
    () => [],
    (error: unknown) => [String(error)],
  );
  while ((await countPending(stack.databaseUrl)) > 0 && Date.now() < until) await sleep(POLL_MS);
  const pending = await countPending(stack.databaseUrl);
  const tookMs = Date.now() - healedAt;
  if (pending > 0) return [...late, `${pending} operations are pending ${tookMs} ms after the end of the faults`];
  return tookMs > RECOVERY_LIMIT_MS ? [...late, `all was settled ${tookMs} ms after the end of the faults`] : late;
}

/** The last changes are on their way; a stream that does not bring them is found by the comparison of the copies. */
async function waitForStream(stream: LiveStream | undefined, seq: number) {
  for (const until = Date.now() + 10_000; stream !== undefined && stream.seq() < seq; await sleep(POLL_MS)) {
    if (Date.now() > until) return;
  }
}

async function readyUrl(stack: Stack): Promise<string> {
  const [api] = stack.apis().filter((each) => each.shouldRun());
  if (api === undefined) throw new Error('no api process runs');
  await api.process().waitForHttp(`${api.url}/health/ready`);
  return api.url;
}

/** Stops everything; afterwards no process is left, and PostgreSQL has no connection of ours. */
async function endProcesses(stack: Stack, notes: Record<string, string | number>): Promise<string[]> {
  const found: string[] = [];
  const pids = stack.places.map((place) => place.process().pid);
  try {
    notes['longest stop ms'] = Math.round(await stack.stopProcesses());
  } catch (error) {
    found.push(error instanceof Error ? error.message.slice(0, 2_000) : String(error));
  }
  for (const pid of pids) if (isAlive(pid)) found.push(`process ${pid} is left`);
  for (const until = Date.now() + 5_000; ; await sleep(POLL_MS)) {
    const left = await queryDatabase<{ name: string }>(
      stack.databaseUrl,
      "SELECT application_name AS name FROM pg_stat_activity WHERE application_name LIKE 'task-sync%'",
    );
    if (left.length === 0) return found;
    if (Date.now() > until) return [...found, `${left.length} connections are left: ${left[0]?.name}`];
  }
}

/**
 * Injects a fault again and again until the load ends, at times from the seed: on average every `everyMs`. What `inject` gives to `later`
 * goes on beside the next faults and is waited for at the end.
 */
export async function repeatFault(
  context: ScenarioContext,
  run: Run,
  everyMs: number,
  inject: (later: (work: Promise<unknown>) => void) => Promise<void>,
): Promise<void> {
  const started: Promise<unknown>[] = [];
  const later = (work: Promise<unknown>) => {
    work.catch(() => undefined);
    started.push(work);
  };
  for (let due = Date.now() + everyMs / 2; due < run.until; due += everyMs * (0.6 + 0.8 * context.random())) {
    await pauseUntil(due, context.signal);
    await inject(later);
  }
  await Promise.all(started);
}

/** Ends a stack that runs no phases: processes, then servers. @returns what is wrong with their ends, in words */
export async function endStack(stack: Stack, notes: Record<string, string | number>): Promise<string[]> {
  const found = [...stack.unexpectedEnds, ...(await endProcesses(stack, notes))];
  await stack.stopServers();
  return found;
}

/** One of several, from the seed. */
export function pickOne<Value>(random: () => number, values: readonly Value[]): Value {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new Error('nothing to pick from');
  return value;
}
