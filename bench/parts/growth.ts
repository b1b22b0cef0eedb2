// Part 6: the same pushes into databases of different ages: flat, or something on the way reads more than it should.
import { type Bench, measureVariants } from '../bench.js';
import { fillWorkspace } from '../fill.js';
import { startStack } from '../stack.js';
import { fleetVariant } from '../variants.js';

/** Tasks in the workspaces whose log grows; the pushes go to all of them. */
const TASKS = 10_000;

export function measureGrowth(bench: Bench): Promise<void> {
  const { logSizes, largeWorkspace } = bench.settings;
  const variantOf = (key: string, label: string, tasks: number, operations: number) =>
    fleetVariant(bench, {
      key,
      label,
      isOurs: true,
      async start() {
        const fill = (databaseUrl: string) =>
          fillWorkspace(databaseUrl, { tasks, operations: Math.max(tasks, operations) });
        const { url, processes } = await startStack(bench, { name: key.replaceAll('-', '_'), fill });
        return { target: { protocol: 'taskSync', url }, processes };
      },
      connections: 8,
      batch: 50,
      workload: 'mixed',
      existing: { prefix: 'task', count: tasks },
    });
  return measureVariants(bench, [
    ...logSizes.map((rows) => {
      const text = rows === 0 ? 'a new log' : `${rows.toLocaleString('en')} rows in the log`;
      return variantOf(`log-${rows}`, `${text}, ${TASKS.toLocaleString('en')} tasks`, TASKS, rows);
    }),
    variantOf(
      'large-workspace',
      `${largeWorkspace.toLocaleString('en')} tasks in one workspace`,
      largeWorkspace,
      largeWorkspace,
    ),
  ]);
}
