// Part 2: how long a device waits, alone and while others push half of what the system can take: with one operation among them, and with fifty
// as one of them.
import { type Bench, measureVariants, type Variant } from '../bench.js';
import { createSystems } from '../systems.js';
import { fleetVariant, metricsOf, prepareFleet, type Running, runFleets } from '../variants.js';

/** Single operations a second of the devices that are watched under load: enough for a percentile, too few to be a load. */
const PROBE_PER_S = 50;
/** With one, an answer that takes longer than the time between two operations would make all later ones wait. */
const PROBE_CONNECTIONS = 4;
/** Operations in a batch of those that push, and of the one that is watched alone. */
const LARGE_BATCH = 50;

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
  const unloaded = [1, LARGE_BATCH].flatMap((batch) =>
    all.map(({ name, key, ...system }) =>
      fleetVariant(bench, {
        ...system,
        key: `${key}-unloaded-${batch}`,
        label: `${name}: ${wordBatch(batch)}, unloaded`,
        batch,
        connections: 1,
        workload: 'mixed',
      }),
    ),
  );
  const halfLoad = [1, LARGE_BATCH].flatMap((batch) => [ours, naive].map((system) => halfLoaded(bench, system, batch)));
  return measureVariants(bench, [...unloaded, ...halfLoad]);
}

/** Eight devices that push half of what they could, fifty operations at a time; for one operation, others that have one now and then. */
function halfLoaded(bench: Bench, { name, key, start, isOurs }: System, batch: number): Variant {
  const probe = `${key}-probe`;
  const crowd = `${key}-crowd-${batch}`;
  return {
    key: `${key}-half-load-${batch}`,
    label: `${name}: ${wordBatch(batch)}, half load`,
    isOurs,
    async prepare() {
      const { target, processes } = await start();
      if (batch === 1)
        await prepareFleet(bench, { id: probe, target, connections: PROBE_CONNECTIONS, batch, workload: 'mixed' });
      await prepareFleet(bench, { id: crowd, target, connections: 8, batch: LARGE_BATCH, workload: 'mixed' });
      let most: number | undefined;
      return async () => {
        // In the first round and not before: the databases have their statistics by then.
        most ??= metricsOf(await runFleets(bench, [{ id: crowd }], processes)).operationsPerS ?? 0;
        const pushing = { id: crowd, operationsPerS: most / 2 };
        const watched = batch === 1 ? [{ id: probe, operationsPerS: PROBE_PER_S }, pushing] : [pushing];
        return metricsOf(await runFleets(bench, watched, processes), 0);
      };
    },
  };
}

const wordBatch = (batch: number) => (batch === 1 ? 'one operation' : `${batch} operations`);
