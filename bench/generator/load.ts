// Fleets at work: each device sends its next request when the one before is answered (closed loop), or at a given rate, where the time of
// an answer counts from when the request was due: a server that stalls must not be spared the requests that it kept from being sent.
import { percentile } from '../statistics.js';
import type { Worker } from './fleet.js';
import type { Exchange, JobResult, Window } from './jobs.js';

export interface Load {
  workers: readonly Worker[];
  batch: number;
  /** All devices together; undefined: as fast as the answers come. */
  operationsPerS: number | undefined;
}

interface Tally extends Required<Pick<Exchange, 'settled' | 'pending' | 'refused' | 'errors'>> {
  requests: number;
  latenciesMs: number[];
}

/** A measurement with fewer answers than this from each device says little: it goes on for longer, but not for ever. */
const ANSWERS_A_DEVICE = 2;
const LONGER_AT_MOST = 10;
const LOOK_EVERY_MS = 20;

/** Runs all loads at once. @throws an Error with the first fault when nothing was settled */
export async function runLoad(
  loads: readonly Load[],
  warmUpMs: number,
  measureMs: number,
  window: Window,
): Promise<JobResult> {
  const tallies = loads.map(emptyTally);
  const startedAt = performance.now();
  // Infinity: not begun, not over.
  const measured = { from: Number.POSITIVE_INFINITY, until: Number.POSITIVE_INFINITY };
  let firstFault: string | undefined;
  const take = (tally: Tally, exchange: Exchange, sentAt: number) => {
    firstFault ??= exchange.fault;
    const now = performance.now();
    if (now >= measured.from && now < measured.until) count(tally, exchange, now - sentAt);
  };
  const driving = loads.flatMap((load, index) =>
    load.workers.map((worker, number) =>
      drive(worker, paceOf(load, startedAt, number), {
        isOver: () => performance.now() >= measured.until,
        take: (exchange, sentAt) => take(tallies[index] ?? emptyTally(), exchange, sentAt),
      }),
    ),
  );
  await sleepUntil(startedAt + warmUpMs);
  measured.from = performance.now();
  window.begin();
  await untilMeasured(loads, tallies, measured.from, measureMs);
  measured.until = performance.now();
  window.end();
  await Promise.all(driving);
  if (tallies.some(({ settled }) => settled === 0))
    throw new Error(firstFault ?? 'nothing was answered in the measured time');
  if (firstFault !== undefined) process.stdout.write(`    the first fault: ${firstFault}\n`);
  const tookMs = measured.until - measured.from;
  return Object.assign({}, ...tallies.map((tally, index) => summarize(tally, index, tookMs)));
}

/** The measured time, and for as long as some devices have had too few answers. */
async function untilMeasured(loads: readonly Load[], tallies: readonly Tally[], from: number, measureMs: number) {
  await sleepUntil(from + measureMs);
  const hasEnough = () =>
    tallies.every((tally, index) => tally.requests >= ANSWERS_A_DEVICE * (loads[index]?.workers.length ?? 0));
  const latest = from + LONGER_AT_MOST * measureMs;
  while (!hasEnough() && performance.now() < latest) await sleepUntil(performance.now() + LOOK_EVERY_MS);
}

interface Pace {
  /** 0: as fast as the answers come. */
  everyMs: number;
  firstAt: number;
}

/** Devices with a rate do not all start at the same moment. */
function paceOf({ operationsPerS, batch, workers }: Load, startedAt: number, number: number): Pace {
  const everyMs = operationsPerS === undefined ? 0 : (1_000 * batch * workers.length) / operationsPerS;
  return { everyMs, firstAt: startedAt + (everyMs * number) / workers.length };
}

async function drive(
  worker: Worker,
  { everyMs, firstAt }: Pace,
  { isOver, take }: { isOver: () => boolean; take: (exchange: Exchange, sentAt: number) => void },
) {
  for (let dueAt = firstAt; ; dueAt += everyMs) {
    if (everyMs > 0) await sleepUntil(dueAt);
    if (isOver()) return;
    const sentAt = everyMs > 0 ? dueAt : performance.now();
    take(await worker.exchange(), sentAt);
  }
}

const emptyTally = (): Tally => ({ requests: 0, settled: 0, pending: 0, refused: 0, errors: 0, latenciesMs: [] });

function count(tally: Tally, exchange: Exchange, latencyMs: number) {
  tally.requests += 1;
  tally.settled += exchange.settled;
  tally.pending += exchange.pending;
  tally.refused += exchange.refused;
  tally.errors += exchange.errors;
  if (exchange.settled > 0) tally.latenciesMs.push(latencyMs);
}

function summarize(tally: Tally, index: number, measureMs: number): JobResult {
  const { latenciesMs, ...counts } = tally;
  const sorted = Float64Array.from(latenciesMs).sort();
  const numbers = {
    ...counts,
    operationsPerS: (counts.settled / measureMs) * 1_000,
    requestsPerS: (sorted.length / measureMs) * 1_000,
    ...(sorted.length === 0
      ? {}
      : { p50Ms: percentile(sorted, 50), p99Ms: percentile(sorted, 99), maxMs: percentile(sorted, 100) }),
  };
  return Object.fromEntries(Object.entries(numbers).map(([name, value]) => [`${index}.${name}`, value]));
}

/** On time to about a millisecond, which is what a timer gives; what was due before is due now. */
async function sleepUntil(at: number) {
  const remainingMs = at - performance.now();
  if (remainingMs > 0) await new Promise((resolve) => setTimeout(resolve, remainingMs));
}
