// How many requests this process keeps open for as long as their clients like: streams of all kinds, and polls that wait (I8).
import { ApiError } from '../errors.js';
import type { StreamKind } from '../metrics/apiMetrics.js';

export interface OpenStreams {
  /** Counts one more. @returns what to call when it has ended @throws ApiError overloaded beyond the limit */
  open(kind: StreamKind): () => void;
}

/**
 * @param max the limit, STREAM_MAX
 * @param onChange is told how many of a kind are open
 * @param onRefuse called when one is refused
 */
export function createOpenStreams(
  max: number,
  onChange: (kind: StreamKind, open: number) => void,
  onRefuse: () => void,
): OpenStreams {
  let count = 0;
  const kinds: Record<StreamKind, number> = { sse: 0, websocket: 0, poll: 0, lines: 0 };
  const add = (kind: StreamKind, change: 1 | -1) => {
    count += change;
    kinds[kind] += change;
    onChange(kind, kinds[kind]);
  };
  return {
    open(kind) {
      if (count >= max) {
        onRefuse();
        throw new ApiError(
          'overloaded',
          `This server keeps at most ${max} streams and waiting polls open (STREAM_MAX); try another one, or later.`,
        );
      }
      add(kind, 1);
      return () => add(kind, -1);
    },
  };
}
