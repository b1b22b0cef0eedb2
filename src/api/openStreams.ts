// How many streams this process keeps open, of both kinds (I8).
import { ApiError } from '../errors.js';
import type { StreamKind } from '../metrics/apiMetrics.js';

export interface OpenStreams {
  /** Counts one more. @returns what to call when it has ended @throws ApiError unavailable beyond the limit */
  open(kind: StreamKind): () => void;
}

/**
 * @param max the limit, STREAM_MAX
 * @param onChange is told how many of a kind are open
 */
export function createOpenStreams(max: number, onChange: (kind: StreamKind, open: number) => void): OpenStreams {
  let count = 0;
  const kinds = { sse: 0, websocket: 0 };
  const add = (kind: StreamKind, change: 1 | -1) => {
    count += change;
    kinds[kind] += change;
    onChange(kind, kinds[kind]);
  };
  return {
    open(kind) {
      if (count >= max) {
        throw new ApiError(
          'unavailable',
          `This server keeps at most ${max} streams open (STREAM_MAX); try another one, or later.`,
        );
      }
      add(kind, 1);
      return () => add(kind, -1);
    },
  };
}
