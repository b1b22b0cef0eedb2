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

/** Runs all loads at once. @throws an Error with the first fault when nothing was settled */
export async function runLoad(
  loads: readonly Load[],
  warmUpMs: number,
  measureMs: number,
  window: Window,
): Promise<JobResult> {
  const startedAt = performance.now();
  const from = startedAt + warmUpMs;
  const until = from + measureMs;
  const tallies = loads.map(
    (): Tally => ({ requests: 0, settled: 0, pending: 0, refused: 0, errors: 0, latenciesMs: [] }),
  );
  const faults: string[] = [];
  const drive = async (worker: Worker, load: Load, tally: Tally, number: number) => {
    const everyMs =
      load.operationsPerS === undefined ? 0 : (1_000 * load.batch * load.workers.length) / load.operationsPerS;
    // Devices with a rate do not all start at the same moment.
    let dueAt = startedAt + (everyMs * number) / load.workers.length;
    for (;;) {
      if (everyMs > 0) await sleepUntil(dueAt);
      const sentAt = everyMs > 0 ? dueAt : performance.now();
      if (performance.now() >= until) return;
      const exchange = await worker.exchange();
      const now = performance.now();
      if (exchange.fault !== undefined && faults.length < 1) faults.push(exchange.fault);
      if (now >= from && now < until) count(tally, exchange, now - sentAt);
      dueAt += everyMs;
    }
  };
  const driving = loads.flatMap((load, index) =>
    load.workers.map((worker, number) => drive(worker, load, tallies[index] ?? emptyTally(), number)),
  );
  await sleepUntil(from);
  window.begin();
  await sleepUntil(until);
  window.end();
  await Promise.all(driving);
  const [fault] = faults;
  if (fault !== undefined && tallies.some(({ settled }) => settled === 0)) throw new Error(fault);
  if (fault !== undefined) process.stdout.write(`    the first fault: ${fault}\n`);
  return Object.assign({}, ...tallies.map((tally, index) => summarize(tally, index, measureMs)));
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
