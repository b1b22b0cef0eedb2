// The handle of the load generator: a process of its own, so that what it burns is not counted as anyone else's, with one job at a time.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Releasers } from '../src/embedded/releasers.js';
import { plainEnvironment } from './environment.js';
import type { FromGenerator, Job, JobResult } from './generator/jobs.js';
import { type Consumption, type MeteredProcess, startMeter } from './meter.js';

export interface Measured {
  result: JobResult;
  /** Of the window that the job measured, the generator's own under `generator`. */
  consumption: Consumption;
}

export interface Generator {
  /**
   * Runs a job, and meters `processes` while it measures.
   * @throws an Error when the job fails, or is not over within `limitMs`; after the latter the generator forgets its fleets
   */
  run(job: Job, processes: readonly MeteredProcess[], limitMs: number): Promise<Measured>;
}

const ENTRY = fileURLToPath(new URL('generator/main.js', import.meta.url));

/** The generator; its process starts with the first job, and again after one that hung. */
export function createGenerator(releasers: Releasers, signal: AbortSignal): Generator {
  let child: ChildProcess | undefined;
  const end = () => {
    child?.kill('SIGKILL');
    child = undefined;
  };
  releasers.push(end);
  return {
    async run(job, processes, limitMs) {
      signal.throwIfAborted();
      child ??= fork(ENTRY, {
        env: plainEnvironment,
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        serialization: 'advanced',
      });
      try {
        return await runJob(child, job, processes, { limitMs, signal });
      } catch (error) {
        if (!(error instanceof JobError)) end();
        signal.throwIfAborted();
        throw error;
      }
    },
  };
}

/** The job failed; the generator goes on. */
class JobError extends Error {
  override name = 'JobError';
}

function runJob(
  child: ChildProcess,
  job: Job,
  processes: readonly MeteredProcess[],
  { limitMs, signal }: { limitMs: number; signal: AbortSignal },
): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const metered = [...processes, { name: 'generator', pid: child.pid ?? 0, hasChildren: true }];
    let stopMeter: (() => Consumption) | undefined;
    let consumption: Consumption = { cpuMs: {}, rssMb: {} };
    const endMeter = () => {
      consumption = stopMeter?.() ?? consumption;
      stopMeter = undefined;
    };
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      child.off('message', onMessage).off('exit', onExit);
      signal.removeEventListener('abort', onAbort);
      endMeter();
      finish();
    };
    const onExit = () => settle(() => reject(new Error('the load generator has ended')));
    const onAbort = () => settle(() => reject(signal.reason));
    // Not AbortSignal.any() over AbortSignal.timeout(): that may be collected as garbage before it fires.
    const timer = setTimeout(
      () => settle(() => reject(new Error(`the job ${job.kind} is not over after ${limitMs / 1_000} s`))),
      limitMs,
    );
    const onMessage = (message: FromGenerator) => {
      if (message.type === 'begin') stopMeter = startMeter(metered);
      else if (message.type === 'end') endMeter();
      else if (message.type === 'failed') settle(() => reject(new JobError(message.error)));
      else settle(() => resolve({ result: message.result, consumption }));
    };
    child.on('message', onMessage).on('exit', onExit);
    signal.addEventListener('abort', onAbort);
    child.send(job);
  });
}
