// Part 1, workers alone: how fast a backlog goes with 1, 2 and 4 of them, in one workspace and in a hundred.
import { type Bench, measureVariants, type Variant } from '../bench.js';
import { startStack } from '../stack.js';
import { GRACE_MS, metricsOf } from '../variants.js';

const LIMIT_MS = 60_000;

export function measureWorkers(bench: Bench): Promise<void> {
  const wanted = [
    [1, 1],
    [2, 1],
    [1, 100],
    [2, 100],
    [4, 100],
  ] as const;
  return measureVariants(
    bench,
    wanted.map(([workers, workspaces]) => backlog(bench, workers, workspaces)),
  );
}

function backlog(bench: Bench, workers: number, workspaces: number): Variant {
  const { backlog: operations } = bench.settings;
  return {
    key: `${workers}-workers-${workspaces}-workspaces`,
    label: `${workers} ${workers === 1 ? 'worker' : 'workers'}, ${workspaces === 1 ? 'one workspace' : `${workspaces} workspaces`}`,
    isOurs: true,
    async prepare() {
      // The reconciler must not take for lost what has not been enqueued yet.
      const env = { RECONCILE_AFTER_MS: String(2 * LIMIT_MS) };
      const stack = await startStack(bench, { name: `backlog_${workers}_${workspaces}`, workers, env });
      const job = { kind: 'backlog', env: stack.env, workspaces, operations, limitMs: LIMIT_MS } as const;
      const processes = [...bench.servers.processes, ...stack.processes];
      return async () => metricsOf(await bench.generator.run(job, processes, LIMIT_MS + GRACE_MS));
    },
  };
}
