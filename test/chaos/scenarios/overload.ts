// Scenario 21: ten times the load that it can carry, from clients that never back off. First the peak is found; then goodput (operations that
// are settled in the end, by time) must stay above 80 % of it, the rest be refused with 429 or 503 and Retry-After, the api's event loop
// stay responsive, and its memory flat.
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryOf } from '../../support/cluster.js';
import { metricValue, scrape } from '../../support/metrics.js';
import { queryDatabase } from '../../support/postgres.js';
import { quantile } from '../abuse/honestLoad.js';
import { createFlood, type Flood } from '../flood.js';
import { CheckFailed, endStack, RECOVERY_LIMIT_MS } from '../phases.js';
import { countPending } from '../readState.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { type Stack, startStack } from '../stack.js';

const FACTOR = 10;
/** Operations in a batch: what a device has after a while offline. */
const BATCH_SIZE = 20;
const CALIBRATION_MS = 12_000;
/** Enough to keep every connection of the api busy. */
const CALIBRATION_CONCURRENCY = 16;
const GOODPUT_SHARE = 0.8;
const LAG_P99_LIMIT_S = 0.2;
/** Heaps breathe; a leak under this load would be hundreds. */
const MEMORY_SLACK_MB = 80;
const SAMPLE_EVERY_MS = 2_000;

export const overload: Scenario = {
  number: 21,
  name: 'overload',
  title: 'ten times the load it can carry: goodput above 80 % of the peak, the rest refused in order',
  backends: ['redis', 'postgres'],
  options: { durationMs: 60_000, devices: 0, operations: 0, apis: 1, workers: 1, rounds: 0 },
  async run(context) {
    const { measures } = context;
    const stack = await startStack(context, context.options);
    const flood = createFlood(stack.apis()[0]?.url ?? '', BATCH_SIZE, context.signal);
    const peak = await calibrate(stack, flood);
    const findings = await overwhelm(context, stack, flood, peak);
    const acknowledged = flood.acknowledged();
    await flood.close();
    measures.operations = flood.sent();
    measures.acknowledged = acknowledged;
    findings.push(...(await checkNothingLost(stack, acknowledged, measures)));
    findings.push(...(await endStack(stack, measures.notes)));
    if (findings.length > 0) throw new CheckFailed(findings);
  },
};

interface Peak {
  operationsPerS: number;
  batchesPerS: number;
}

/** As many as are answered, as fast as they are: each sender waits for its answer. The last two thirds count. */
async function calibrate(stack: Stack, flood: Flood): Promise<Peak> {
  const closed = flood.closedLoop(CALIBRATION_CONCURRENCY, CALIBRATION_MS);
  await sleep(CALIBRATION_MS / 3);
  const [from, fromAt] = [await countSynced(stack), performance.now()];
  await closed;
  const operationsPerS = ((await countSynced(stack)) - from) / ((performance.now() - fromAt) / 1_000);
  await waitForSettled(stack);
  return { operationsPerS, batchesPerS: operationsPerS / flood.batchSize };
}

async function overwhelm(context: ScenarioContext, stack: Stack, flood: Flood, peak: Peak): Promise<string[]> {
  const { notes, faults } = context.measures;
  const { durationMs } = context.options;
  const api = stack.apis()[0];
  const url = api?.url ?? '';
  const before = flood.counts();
  const from = await countSynced(stack);
  const lags: number[] = [];
  const memory: number[] = [];
  const flooding = flood.openLoop(peak.batchesPerS * FACTOR, durationMs);
  const startedAt = performance.now();
  while (performance.now() - startedAt < durationMs) {
    await sleep(SAMPLE_EVERY_MS);
    lags.push(metricValue(await scrape(url), 'nodejs_eventloop_lag_p99_seconds') ?? 0);
    memory.push(memoryOf(api?.process().pid ?? 0, 'VmRSS'));
  }
  await flooding;
  const goodput = ((await countSynced(stack)) - from) / ((performance.now() - startedAt) / 1_000);
  const counts = flood.countsSince(before);
  const third = Math.ceil(memory.length / 3);
  const grownMb = quantile(memory.slice(-third), 0.5) - quantile(memory.slice(third, 2 * third), 0.5);
  const offered = counts.sent / (durationMs / 1_000);
  Object.assign(notes, {
    'peak operations/s': Math.round(peak.operationsPerS),
    'goodput operations/s': Math.round(goodput),
    'batches offered/s': Math.round(offered),
    'times the peak': Math.round((offered / peak.batchesPerS) * 10) / 10,
    'event loop p99 ms': Math.round(quantile(lags, 0.5) * 1_000),
    'memory grown MB': Math.round(grownMb),
  });
  for (const [status, count] of Object.entries(counts.statuses)) faults[`answered ${status}`] = count;
  const findings = [...flood.faults()];
  if (goodput < GOODPUT_SHARE * peak.operationsPerS)
    findings.push(`goodput was ${Math.round(goodput)} of ${Math.round(peak.operationsPerS)} operations/s`);
  if (quantile(lags, 0.5) > LAG_P99_LIMIT_S)
    findings.push(`the event loop's p99 was ${Math.round(quantile(lags, 0.5) * 1_000)} ms`);
  if (grownMb > MEMORY_SLACK_MB) findings.push(`memory grew by ${Math.round(grownMb)} MB`);
  if ((counts.statuses[429] ?? 0) + (counts.statuses[503] ?? 0) === 0)
    findings.push('nothing was refused: it was no overload');
  return findings;
}

/** Each acknowledged operation is stored once and settled. */
async function checkNothingLost(
  stack: Stack,
  acknowledged: number,
  measures: ScenarioContext['measures'],
): Promise<string[]> {
  const healedAt = performance.now();
  await waitForSettled(stack);
  measures.recoveryMs = Math.round(performance.now() - healedAt);
  const findings: string[] = [];
  if (measures.recoveryMs > RECOVERY_LIMIT_MS)
    findings.push(`all was settled ${measures.recoveryMs} ms after the overload`);
  const stored = await countSynced(stack);
  // More may be stored: answers that came too late for their sender.
  if (stored < acknowledged) findings.push(`${acknowledged} operations were acknowledged, ${stored} are settled`);
  return findings;
}

async function waitForSettled(stack: Stack) {
  for (
    const until = Date.now() + 4 * RECOVERY_LIMIT_MS;
    (await countPending(stack.databaseUrl)) > 0 && Date.now() < until;
  )
    await sleep(100);
}

async function countSynced(stack: Stack): Promise<number> {
  const [row] = await queryDatabase<{ synced: string }>(
    stack.databaseUrl,
    "SELECT synced FROM workspaces WHERE id = 'default'",
  );
  return Number(row?.synced);
}
