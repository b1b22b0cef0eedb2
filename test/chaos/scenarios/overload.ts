// Scenario 21: ten times the load that it can carry, from clients that never back off. Goodput (operations that are settled, by time) must stay
// above 80 % of the peak, the rest be refused with 429 or 503 and Retry-After, the api's event loop stay responsive, and its memory flat.
// The peak is a mean of runs before and after, because a shared machine is faster in one minute than in the next, and of several each: one of 12
// seconds may or may not have in it what PostgreSQL takes once a minute to clean up, and a longer one would fill the workspace. And it is
// the peak of what the sender leaves of this machine: real senders have machines of their own.
import { availableParallelism } from 'node:os';
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
const CALIBRATION_RUNS = 3;
/** Enough to keep every connection of the api busy. */
const CALIBRATION_CONCURRENCY = 16;
const GOODPUT_SHARE = 0.8;
/** Less is not the load that the title names: a sender or a server too slow to offer and to refuse so much. */
const TIMES_THE_PEAK_MIN = 8;
/** Of the machine must be left by the sender: what it takes is not asked of the system. */
const LEFT_MIN = 0.9;
/** A system that is slower than this afterwards has not recovered, and may not lower what is asked of it. */
const AFTER_MIN = 0.7;
const LAG_P99_LIMIT_S = 0.2;
/** Heaps breathe; a leak under this load would be hundreds. */
const MEMORY_SLACK_MB = 80;
const SAMPLE_EVERY_MS = 2_000;

export const overload: Scenario = {
  number: 21,
  name: 'overload',
  title: 'ten times the load it can carry: goodput above 80 % of the peak, the rest refused in order',
  backends: ['redis', 'postgres'],
  runsAlone: true,
  options: { durationMs: 60_000, devices: 0, operations: 0, apis: 1, workers: 1, rounds: 0 },
  async run(context) {
    const { measures } = context;
    const stack = await startStack(context, context.options);
    const flood = createFlood(stack.apis()[0]?.url ?? '', BATCH_SIZE, context.signal);
    const before = await meanPeak(stack, flood);
    const overloaded = await overwhelm(context, stack, flood, before.operationsPerS / flood.batchSize);
    const healedAt = performance.now();
    await waitForSettled(stack);
    measures.recoveryMs = Math.round(performance.now() - healedAt);
    const after = await meanPeak(stack, flood);
    const findings = [before, overloaded, after].flatMap((phase) => phase.findings);
    findings.push(...judgeGoodput(context, overloaded, { before, after }));
    if (measures.recoveryMs > RECOVERY_LIMIT_MS)
      findings.push(`all was settled ${measures.recoveryMs} ms after the overload`);
    const acknowledged = flood.acknowledged();
    flood.close();
    measures.operations = flood.sent();
    measures.acknowledged = acknowledged;
    const stored = await countSynced(stack);
    // More may be stored: answers that came too late for their sender.
    if (stored < acknowledged) findings.push(`${acknowledged} operations were acknowledged, ${stored} are settled`);
    findings.push(...(await endStack(stack, measures.notes)));
    if (findings.length > 0) throw new CheckFailed(findings);
  },
};

/** How much was settled while something ran, and what its sender took of the machine. */
interface Rate {
  operationsPerS: number;
  /** Of all cores, 0 to 1. */
  senderShare: number;
}

async function startRate(stack: Stack): Promise<() => Promise<Rate>> {
  const [from, startedAt, cpu] = [await countSynced(stack), performance.now(), process.cpuUsage()];
  return async () => {
    const elapsedS = (performance.now() - startedAt) / 1_000;
    const { user, system } = process.cpuUsage(cpu);
    return {
      operationsPerS: ((await countSynced(stack)) - from) / elapsedS,
      senderShare: (user + system) / 1e6 / elapsedS / availableParallelism(),
    };
  };
}

interface Peak extends Rate {
  findings: string[];
}

async function meanPeak(stack: Stack, flood: Flood): Promise<Peak> {
  const runs: Peak[] = [];
  for (let run = 0; run < CALIBRATION_RUNS; run += 1) runs.push(await calibrate(stack, flood));
  return {
    operationsPerS: mean(runs.map(({ operationsPerS }) => operationsPerS)),
    senderShare: mean(runs.map(({ senderShare }) => senderShare)),
    findings: runs.flatMap(({ findings }) => findings),
  };
}

/** As many as are answered, as fast as they are: each sender waits for its answer. The last two thirds count. */
async function calibrate(stack: Stack, flood: Flood): Promise<Peak> {
  const sentBefore = flood.counts();
  const closed = flood.closedLoop(CALIBRATION_CONCURRENCY, CALIBRATION_MS);
  await sleep(CALIBRATION_MS / 3);
  const end = await startRate(stack);
  await closed;
  const rate = await end();
  await waitForSettled(stack);
  const { statuses } = flood.countsSince(sentBefore);
  const other = Object.keys(statuses).filter(
    (status) => !['200', '202'].includes(status) && (statuses[Number(status)] ?? 0) > 0,
  );
  return {
    ...rate,
    findings: other.map((status) => `${statuses[Number(status)]} batches of the peak were answered ${status}`),
  };
}

function judgeGoodput(
  { measures }: ScenarioContext,
  { rate, batchesPerS, batchSize }: Overloaded,
  { before, after }: { before: Rate; after: Rate },
) {
  const peaks = [before, after];
  const peak = mean(peaks.map(({ operationsPerS }) => operationsPerS));
  const left = (1 - rate.senderShare) / (1 - mean(peaks.map(({ senderShare }) => senderShare)));
  const goodput = rate.operationsPerS / (peak * left);
  const times = batchesPerS / (peak / batchSize);
  Object.assign(measures.notes, {
    'peak operations/s before': Math.round(before.operationsPerS),
    'peak operations/s after': Math.round(after.operationsPerS),
    'left by the sender %': Math.round(left * 100),
    'goodput operations/s': Math.round(rate.operationsPerS),
    'goodput %': Math.round(goodput * 100),
    '% of the peak before': Math.round((rate.operationsPerS / before.operationsPerS) * 100),
    'times the peak': Math.round(times * 10) / 10,
  });
  const findings: string[] = [];
  if (goodput < GOODPUT_SHARE)
    findings.push(`goodput was ${Math.round(rate.operationsPerS)} of ${Math.round(peak * left)} operations/s`);
  if (times < TIMES_THE_PEAK_MIN) findings.push(`only ${times.toFixed(1)} times the peak was offered`);
  if (left < LEFT_MIN) findings.push(`the sender left only ${Math.round(left * 100)} % of the machine`);
  if (after.operationsPerS < AFTER_MIN * before.operationsPerS)
    findings.push(
      `the peak was ${Math.round(before.operationsPerS)} before and ${Math.round(after.operationsPerS)} after it`,
    );
  return findings;
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

interface Overloaded {
  rate: Rate;
  /** What was offered. */
  batchesPerS: number;
  batchSize: number;
  findings: string[];
}

async function overwhelm(
  context: ScenarioContext,
  stack: Stack,
  flood: Flood,
  peakBatchesPerS: number,
): Promise<Overloaded> {
  const { notes, faults } = context.measures;
  const { durationMs } = context.options;
  const api = stack.apis()[0];
  const url = api?.url ?? '';
  const before = flood.counts();
  const end = await startRate(stack);
  const lags: number[] = [];
  const memory: number[] = [];
  const flooding = flood.openLoop(peakBatchesPerS * FACTOR, durationMs);
  const startedAt = performance.now();
  while (performance.now() - startedAt < durationMs) {
    await sleep(SAMPLE_EVERY_MS);
    lags.push(metricValue(await scrape(url), 'nodejs_eventloop_lag_p99_seconds') ?? 0);
    memory.push(memoryOf(api?.process().pid ?? 0, 'VmRSS'));
  }
  await flooding;
  const rate = await end();
  const counts = flood.countsSince(before);
  const third = Math.ceil(memory.length / 3);
  const grownMb = quantile(memory.slice(-third), 0.5) - quantile(memory.slice(third, 2 * third), 0.5);
  Object.assign(notes, {
    'event loop p99 ms': Math.round(quantile(lags, 0.5) * 1_000),
    'memory grown MB': Math.round(grownMb),
  });
  for (const [status, count] of Object.entries(counts.statuses)) faults[`answered ${status}`] = count;
  const findings = [...flood.faults()];
  if (quantile(lags, 0.5) > LAG_P99_LIMIT_S)
    findings.push(`the event loop's p99 was ${Math.round(quantile(lags, 0.5) * 1_000)} ms`);
  if (grownMb > MEMORY_SLACK_MB) findings.push(`memory grew by ${Math.round(grownMb)} MB`);
  if ((counts.statuses[0] ?? 0) > 0) findings.push(`${counts.statuses[0]} batches had no answer`);
  if ((counts.statuses[429] ?? 0) + (counts.statuses[503] ?? 0) === 0)
    findings.push('nothing was refused: it was no overload');
  return { rate, batchesPerS: counts.sent / (durationMs / 1_000), batchSize: flood.batchSize, findings };
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
