// Part 5: what the processes hold and burn when there is nothing to do, without and with open streams.
import { type Bench, measureVariants, type Variant } from '../bench.js';
import { startStack } from '../stack.js';
import { GRACE_MS } from '../variants.js';

/** Heartbeats come every 15 s, and belong to what streams cost. */
const IDLE_MS = 20_000;
const QUICK_IDLE_MS = 2_000;
const SETTLE_MS = 1_000;

export async function measureIdle(bench: Bench): Promise<void> {
  const { streams, isQuick } = bench.settings;
  const stack = await startStack(bench, { name: 'idle' });
  const measureMs = isQuick ? QUICK_IDLE_MS : IDLE_MS;
  const idle = (key: string, label: string, count: number): Variant => ({
    key,
    label,
    isOurs: true,
    prepare: async () => async () => {
      const job = { kind: 'idle', url: stack.url, streams: count, settleMs: SETTLE_MS, measureMs } as const;
      const metered = [...bench.servers.processes, ...stack.processes];
      const { consumption } = await bench.generator.run(job, metered, measureMs + GRACE_MS);
      const cpu = Object.entries(consumption.cpuMs).map(([name, ms]) => [
        `cpuMsPerS.${name}`,
        (ms / measureMs) * 1_000,
      ]);
      const rss = Object.entries(consumption.rssMb).map(([name, mb]) => [`rss.${name}`, mb]);
      return Object.fromEntries([...cpu, ...rss]);
    },
  });
  return measureVariants(bench, [
    idle('rest', 'at rest', 0),
    idle('streams', `${streams.toLocaleString('en')} open streams`, streams),
  ]);
}
