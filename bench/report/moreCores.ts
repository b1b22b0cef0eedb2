// What more cores would give, from the CPU time that a backlog took on the cores there were. A bound from above, and no measurement. Pure.
import type { RunResult } from '../results.js';
import { medianAt } from './ratios.js';
import { formatNumber, markdownTable } from './table.js';

const WORKERS = [1, 2, 4] as const;
const CORES = [4, 8] as const;
const PROCESSES = ['api', 'worker', 'postgres', 'redis', 'generator'] as const;

const INTRO = `What more cores would give, computed from the CPU times above (100 workspaces) and not measured: a worker process is one core at
most, PostgreSQL spreads over as many as it has sessions that work, and all processes together have no more than there are. At most, in
operations a second: what is left out is what more cores do not speed up, the flush of the write-ahead log and the lock of each workspace.
So on two cores a second worker only takes from PostgreSQL what it gives, with smaller groups; it pays where one worker has a core of its own to fill.`;

/** A paragraph and a table; undefined where the part workers, or CPU time, was not measured. */
export function moreCores(run: RunResult): string | undefined {
  const rows = WORKERS.flatMap((workers) => {
    const bounds = CORES.map((cores) => mostOperationsPerS(run, workers, cores));
    return bounds.every((bound) => bound !== undefined)
      ? [[workers === 1 ? '1 worker' : `${workers} workers`, ...bounds.map(formatNumber)]]
      : [];
  });
  if (rows.length === 0) return undefined;
  return `${INTRO}\n\n${markdownTable(['', ...CORES.map((cores) => `${cores} cores`)], rows)}`;
}

function mostOperationsPerS(run: RunResult, workers: number, cores: number): number | undefined {
  const key = `${workers}-workers-100-workspaces`;
  const [worker, ...all] = ['worker', ...PROCESSES].map((name) => medianAt(run, ['workers', key, `cpu.${name}`]));
  if (worker === undefined || worker === 0) return undefined;
  const together = all.reduce<number>((sum, us) => sum + (us ?? 0), 0);
  return Math.min((1_000_000 * workers) / worker, (1_000_000 * cores) / together);
}
