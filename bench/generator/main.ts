// The load generator: one job at a time from the process that forked it, and nothing else on its event loop.
import { runBacklog } from './backlog.js';
import { openFleet, type Worker } from './fleet.js';
import type { FromGenerator, Job, JobResult, Window } from './jobs.js';
import { runIdle, runLive } from './live.js';
import { runLoad } from './load.js';
import { runPull } from './pull.js';

const fleets = new Map<string, { workers: Worker[]; batch: number }>();
const tell = (message: FromGenerator) => void process.send?.(message);
const window: Window = { begin: () => tell({ type: 'begin' }), end: () => tell({ type: 'end' }) };

function fleetOf(id: string) {
  const fleet = fleets.get(id);
  if (fleet === undefined)
    throw new Error(`the fleet ${id} is gone: the generator was started anew after a job that hung`);
  return fleet;
}

async function run(job: Job): Promise<JobResult> {
  switch (job.kind) {
    case 'prepare':
      fleets.set(job.fleet.id, { workers: await openFleet(job.fleet), batch: job.fleet.batch });
      return {};
    case 'load': {
      const loads = job.fleets.map(({ id, operationsPerS }) => ({ ...fleetOf(id), operationsPerS }));
      return runLoad(loads, job.warmUpMs, job.measureMs, window);
    }
    case 'pull':
      return runPull(job, window);
    case 'live':
      return runLive(job, window);
    case 'idle':
      return runIdle(job, window);
    case 'backlog':
      return runBacklog(job, window);
    default:
      throw new Error(`no such job: ${JSON.stringify(job satisfies never)}`);
  }
}

process.on('message', (job: Job) => {
  run(job).then(
    (result) => tell({ type: 'done', result }),
    (error: unknown) => tell({ type: 'failed', error: error instanceof Error ? error.message : String(error) }),
  );
});
process.once('disconnect', () => process.exit());
