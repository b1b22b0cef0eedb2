// Part 2, live: from a commit, and from a push, to the event on another device's stream.
import { type Bench, measureVariants, type Variant } from '../bench.js';
import { type Backend, startStack } from '../stack.js';
import { GRACE_MS, metricsOf, once } from '../variants.js';

/** Pushes a second with one stream, and events a second over all streams with many: each push is an event on every one of them. */
const PUSHES_PER_S = 20;
const EVENTS_PER_S = 10_000;
/** So few pushes need a longer look than the other parts. */
const LONGER = 3;

export async function measureLive(bench: Bench): Promise<void> {
  await bench.servers.restartPostgresWith('track_commit_timestamp', 'on');
  const onRedis = once(() => startStack(bench, { name: 'live_redis' }));
  const onPostgres = once(() => startStack(bench, { name: 'live_postgres', backend: 'postgres' }));
  const live = (start: typeof onRedis, backend: Backend, streams: number): Variant => ({
    key: `${backend}-${streams === 1 ? 'one' : 'many'}`,
    label: `queue on ${backend === 'redis' ? 'Redis' : 'PostgreSQL'}, ${streams === 1 ? 'one stream' : `${streams.toLocaleString('en')} streams`}`,
    isOurs: true,
    async prepare() {
      const { url, databaseUrl, processes } = await start();
      const measureMs = LONGER * bench.settings.measureMs;
      const pushesPerS = Math.min(PUSHES_PER_S, EVENTS_PER_S / streams);
      const job = { kind: 'live', url, databaseUrl, streams, pushesPerS, measureMs } as const;
      const metered = [...bench.servers.processes, ...processes];
      return async () => metricsOf(await bench.generator.run(job, metered, measureMs + GRACE_MS));
    },
  });
  const { streams } = bench.settings;
  return measureVariants(bench, [
    live(onRedis, 'redis', 1),
    live(onRedis, 'redis', streams),
    live(onPostgres, 'postgres', 1),
  ]);
}
