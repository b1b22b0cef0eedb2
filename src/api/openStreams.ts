// How many streams this process keeps open, of both kinds (I8).
import { ApiError } from '../errors.js';

export interface OpenStreams {
  /** Counts one more. @returns what to call when it has ended @throws ApiError unavailable beyond the limit */
  open(): () => void;
}

/** @param max the limit, STREAM_MAX */
export function createOpenStreams(max: number): OpenStreams {
  let count = 0;
  return {
    open() {
      if (count >= max) {
        throw new ApiError(
          'unavailable',
          `This server keeps at most ${max} streams open (STREAM_MAX); try another one, or later.`,
        );
      }
      count += 1;
      return () => {
        count -= 1;
      };
    },
  };
}
