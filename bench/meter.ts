// What processes cost: CPU time and memory from /proc, read at the edges of the measured window. Linux only; elsewhere there is nothing, and
// the tables say so.
import { readdirSync, readFileSync } from 'node:fs';
import { platform } from 'node:os';

/** Clock ticks a second in /proc/<pid>/stat: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_S = 100;
const SAMPLE_EVERY_MS = 200;

export interface MeteredProcess {
  /** Several may share one: what is said of them is their sum. */
  name: string;
  pid: number;
  /** Its children count as well: PostgreSQL is a process a connection. */
  hasChildren?: boolean;
}

export interface Consumption {
  /** CPU time by name, ms. */
  cpuMs: Record<string, number>;
  /** The highest memory seen by name, MB; of several processes the largest one's. */
  rssMb: Record<string, number>;
}

export const canMeter = platform() === 'linux';

/** Starts measuring; the returned function ends it and says what was used in between. */
export function startMeter(processes: readonly MeteredProcess[]): () => Consumption {
  if (!canMeter) return () => ({ cpuMs: {}, rssMb: {} });
  const cpuAtStart = sumByName(processes, cpuMsOf);
  const rssMb: Record<string, number> = {};
  const sample = () => {
    for (const each of processes) rssMb[each.name] = Math.max(rssMb[each.name] ?? 0, rssMbOf(each));
  };
  sample();
  const timer = setInterval(sample, SAMPLE_EVERY_MS);
  return () => {
    clearInterval(timer);
    sample();
    const cpuAtEnd = sumByName(processes, cpuMsOf);
    const cpuMs = Object.entries(cpuAtEnd).map(([name, ms]) => [name, ms - (cpuAtStart[name] ?? 0)]);
    return { cpuMs: Object.fromEntries(cpuMs), rssMb };
  };
}

/** Memory of a process now, MB. With children: what is theirs alone, and the shared memory once. 0 for one that is gone. */
export function rssMbOf({ pid, hasChildren }: MeteredProcess): number {
  if (!hasChildren) return kilobytes(pid, 'VmRSS') / 1_024;
  const pids = [pid, ...childrenOf(pid)];
  const own = pids.reduce((sum, each) => sum + kilobytes(each, 'RssAnon'), 0);
  return (own + Math.max(...pids.map((each) => kilobytes(each, 'RssShmem')))) / 1_024;
}

/** CPU time of a process since its start; with children also theirs, living or waited for. */
function cpuMsOf({ pid, hasChildren }: MeteredProcess): number {
  const [own = 0, ended = 0] = ticksOf(pid);
  if (!hasChildren) return (own / TICKS_PER_S) * 1_000;
  const living = childrenOf(pid).reduce((sum, child) => sum + (ticksOf(child)[0] ?? 0), 0);
  return ((own + ended + living) / TICKS_PER_S) * 1_000;
}

/** Ticks of a process itself, and of its children that have ended; [0, 0] for one that is gone. */
function ticksOf(pid: number): number[] {
  // Counted behind the name, which may hold spaces and brackets: utime, stime, cutime, cstime are fields 14 to 17 of proc(5).
  const fields = (read(`/proc/${pid}/stat`).split(') ').at(-1) ?? '').split(' ');
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15).map(Number);
  return [utime + stime, cutime + cstime];
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      read(`/proc/${pid}/task/${task}/children`)
        .split(' ')
        .filter((each) => each !== '')
        .map(Number),
    );
  } catch {
    return [];
  }
}

function kilobytes(pid: number, field: string): number {
  return Number(read(`/proc/${pid}/status`).match(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm'))?.[1] ?? 0);
}

/** Empty for a process that is gone: it may end between two looks. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function sumByName(processes: readonly MeteredProcess[], measure: (each: MeteredProcess) => number) {
  const sums: Record<string, number> = {};
  for (const each of processes) sums[each.name] = (sums[each.name] ?? 0) + measure(each);
  return sums;
}
