// The memory of the processes over time. "Flat" is judged on processes that lived through the faults: a leak shows in them.
import { memoryOf } from '../support/cluster.js';
import type { Measures } from './scenario.js';
import type { Place } from './stack.js';

const LOOK_EVERY_MS = 1_000;
/** V8 takes what it is given before it collects: growth below this says nothing in a run of minutes. */
const ALLOWED_GROWTH_MB = 150;

/** @returns ends the watch: fills in the measures, and says in words what has grown beyond measure */
export function watchMemory(places: () => readonly Place[], measures: Measures): () => string[] {
  const first = new Map<number, { name: string; mb: number }>();
  const last = new Map<number, number>();
  let peakMb = 0;
  const look = () => {
    for (const place of places()) {
      if (!place.shouldRun() || place.process().hasExited()) continue;
      const { pid } = place.process();
      try {
        const mb = memoryOf(pid, 'VmRSS');
        peakMb = Math.max(peakMb, memoryOf(pid, 'VmHWM'));
        if (!first.has(pid)) first.set(pid, { name: place.name, mb });
        last.set(pid, mb);
      } catch {
        // It has ended between the look and the reading.
      }
    }
  };
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    look();
    const total = (values: Iterable<number>) => Math.round(Math.max(0, ...values));
    measures.memory = {
      startMb: total([...first.values()].map(({ mb }) => mb)),
      endMb: total(last.values()),
      peakMb: Math.round(peakMb),
    };
    return [...first].flatMap(([pid, { name, mb }]) => {
      const grownMb = (last.get(pid) ?? mb) - mb;
      return grownMb > ALLOWED_GROWTH_MB ? [`${name} has grown by ${Math.round(grownMb)} MB to ${last.get(pid)}`] : [];
    });
  };
}
