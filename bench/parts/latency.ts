// Part 2: how long one device waits, alone and while others push half of what the system can take.
import { type Bench, measureVariants, type Variant } from '../bench.js';
import { createSystems } from '../systems.js';
import { fleetVariant, metricsOf, prepareFleet, type Running, runFleets } from '../variants.js';

/** Single operations a second of the devices that are watched under load: enough for a percentile, too few to be a load. */
const PROBE_PER_S = 50;
/** With one, an answer that takes longer than the time between two operations would make all later ones wait. */
const PROBE_CONNECTIONS = 4;

interface System {
  name: string;
  key: string;
  start: () => Promise<Running>;
  isOurs: boolean;
}

export function measureLatency(bench: Bench): Promise<void> {
  const systems = createSystems(bench);
  const ours = { name: 'Task Sync', key: 'ours', start: systems.product(), isOurs: true };
  const naive = { name: 'naive', key: 'naive', start: systems.naive, isOurs: true };
  const all = [
    ours,
    { name: 'Task Sync, queue on PostgreSQL', key: 'ours-pg', start: systems.productOnPostgres, isOurs: true },
    { name: 'the same code without a queue', key: 'without-queue', start: systems.withoutQueue, isOurs: true },
    naive,
    { name: 'PouchDB server', key: 'pouchdb', start: systems.pouchdb, isOurs: false },
    { name: 'RxDB server', key: 'rxdb', start: systems.rxdb, isOurs: false },
  ];
  const unloaded = [1, 50].flatMap((batch) =>
    all.map(({ name, key, ...system }) =>
      fleetVariant(bench, {
        ...system,
        key: `${key}-unloaded-${batch}`,
        label: `${name}: ${batch === 1 ? 'one operation' : `${batch} operations`}, unloaded`,
        batch,
        connections: 1,
        workload: 'mixed',
      }),
    ),
  );
  return measureVariants(bench, [...unloaded, halfLoaded(bench, ours), halfLoaded(bench, naive)]);
}

/** Devices with an operation now and then, beside eight that push half of what they could. */
function halfLoaded(bench: Bench, { name, key, start, isOurs }: System): Variant {
  const probe = `${key}-probe`;
  const crowd = `${key}-crowd`;
  return {
    key: `${key}-half-load-1`,
    label: `${name}: one operation, half load`,
    isOurs,
    async prepare() {
      const { target, processes } = await start();
      await prepareFleet(bench, { id: probe, target, connections: PROBE_CONNECTIONS, batch: 1, workload: 'mixed' });
      await prepareFleet(bench, { id: crowd, target, connections: 8, batch: 50, workload: 'mixed' });
      let most: number | undefined;
      return async () => {
        // In the first round and not before: the databases have their statistics by then.
        most ??= metricsOf(await runFleets(bench, [{ id: crowd }], processes)).operationsPerS ?? 0;
        const fleets = [
          { id: probe, operationsPerS: PROBE_PER_S },
          { id: crowd, operationsPerS: most / 2 },
        ];
        return metricsOf(await runFleets(bench, fleets, processes), 0);
      };
    },
  };
}
