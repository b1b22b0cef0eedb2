// Part 4: single tasks through /api/tasks, eight devices at a time.
import { type Bench, measureVariants } from '../bench.js';
import type { CrudAction } from '../generator/jobs.js';
import { startStack } from '../stack.js';
import { fleetVariant, once } from '../variants.js';

const ACTIONS: Record<CrudAction, string> = { create: 'create', read: 'read', list: 'list 100', patch: 'patch' };
const CONNECTIONS = 8;

export function measureCrud(bench: Bench): Promise<void> {
  const product = once(() => startStack(bench, { name: 'crud' }));
  const variantOf = (action: CrudAction) =>
    fleetVariant(bench, {
      key: `crud-${action}`,
      label: ACTIONS[action],
      isOurs: true,
      async start() {
        const { url, processes } = await product();
        return { target: { protocol: 'crud', url, action }, processes };
      },
      connections: CONNECTIONS,
      batch: 1,
      workload: 'create',
    });
  return measureVariants(bench, (['create', 'read', 'list', 'patch'] as const).map(variantOf));
}
