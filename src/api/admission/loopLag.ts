// How far this process is behind: the event loop's mean lag over the last window. The mean, because one long pause (a garbage collection,
// a neighbour on the machine) is no overload; it takes many long turns to raise it. @fastify/under-pressure measures the same way.
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface LoopLag {
  /** Of the last whole window. */
  meanMs(): number;
  close(): void;
}

const RESOLUTION_MS = 10;
const WINDOW_MS = 500;

export function createLoopLag(): LoopLag {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  let meanMs = 0;
  const timer = setInterval(() => {
    // Without a sample the mean is not a number.
    meanMs = Math.max(0, (histogram.mean || 0) / 1e6 - RESOLUTION_MS);
    histogram.reset();
  }, WINDOW_MS);
  timer.unref();
  return {
    meanMs: () => meanMs,
    close() {
      clearInterval(timer);
      histogram.disable();
    },
  };
}
