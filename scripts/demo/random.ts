// Chance that can be repeated: the same seed always gives the same day.
// The generator is mulberry32 by Tommy Ettinger (public domain,
// https://gist.github.com/tommyettinger/46a874533244883189143505d203312c): 32 bits of state, good enough for sample data.
import { v4 } from 'uuid';

/** A source of repeatable chance. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** A whole number in [from, to). */
  between(from: number, to: number): number;
  /** One of the values; throws on an empty list. */
  pick<T>(values: readonly T[]): T;
  /** A UUID (version 4) made of this source's bits. */
  uuid(): string;
}

/** Builds a source of chance from a 32-bit seed. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (from: number, to: number) => from + Math.floor(next() * (to - from));
  return {
    next,
    between,
    pick(values) {
      const value = values[between(0, values.length)];
      if (value === undefined) throw new RangeError('There is nothing to pick from.');
      return value;
    },
    uuid: () => v4({ random: Uint8Array.from({ length: 16 }, () => between(0, 256)) }),
  };
}
