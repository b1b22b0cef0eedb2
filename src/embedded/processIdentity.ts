// Is the process that a pid names today the one that was written down? A pid alone is not enough: it is given again after a while, and
// after a reboot. Its start time beside it makes it unique.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** How often a process that was told to stop is looked at again. */
const POLL_MS = 25;

/** A process as it is written to a file. */
export interface ProcessRecord {
  pid: number;
  /** When it started, in the words of the operating system: compared, never read. */
  started: string;
}

/** The record of a running process, or undefined if there is none with this pid (a zombie counts as none). */
export function identifyProcess(pid: number): ProcessRecord | undefined {
  if (!isTaken(pid)) return undefined;
  const started = process.platform === 'linux' ? readLinuxStart(pid) : askForStart(pid);
  return started === undefined ? undefined : { pid, started };
}

/** True while the very process of the record runs. */
export function isRunning(record: ProcessRecord): boolean {
  return identifyProcess(record.pid)?.started === record.started;
}

/** Stops the very process of the record: the signal, then SIGKILL after `limitMs`. */
export async function stopRecorded(record: ProcessRecord, signal: NodeJS.Signals, limitMs: number): Promise<void> {
  for (const [each, waitMs] of [[signal, limitMs] as const, ['SIGKILL', 2_000] as const]) {
    if (!isRunning(record)) return;
    sendSignal(record.pid, each);
    for (let waitedMs = 0; waitedMs < waitMs && isRunning(record); waitedMs += POLL_MS) await sleep(POLL_MS);
  }
}

/** Sends a signal; a process that is already gone is no fault. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone, or (which the record rules out) not ours.
  }
}

/** SIGKILL to a child and to what it started: every child of a launcher leads a process group of its own. */
export function killWithGroup(pid: number): void {
  if (process.platform !== 'win32') sendSignal(-pid, 'SIGKILL');
  sendSignal(pid, 'SIGKILL');
}

/** True while the system knows this pid, be it of a zombie: that keeps its number until its parent, which may never come, asks for it. */
export function isTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** The boot's id and the start in clock ticks since then; the fields are counted after the name, which may hold spaces and brackets. */
function readLinuxStart(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields[19]}`;
  } catch {
    return undefined;
  }
}

function askForStart(pid: number): string | undefined {
  if (process.platform === 'win32') return 'running';
  const asked = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return asked.stdout?.trim() || undefined;
}
