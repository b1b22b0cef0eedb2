// Effective times: what a device's clock said, corrected at acceptance and fixed from then on. Nothing is refused for its clock;
// a clock in the future would otherwise win every conflict until that future comes.
import { fromMicros, toMicros } from './timestamp.js';

/** Below this, a difference between the clocks is network delay, not skew. */
const SKEW_TOLERANCE_MICROS = 2_000_000n;

export interface EffectiveTimes {
  /** One canonical timestamp for each time given, in their order. */
  times: string[];
  /** How far the device's clock is ahead of the server's (negative: behind), in ms; undefined if it did not say its time. */
  skewMs?: number;
  /** How many given times were changed. */
  adjusted: number;
}

/**
 * Fixes the effective times of a batch.
 * @param given canonical timestamps as the device wrote them, undefined where it gave none
 * @param clientTimestamp the device's clock when it sent the batch, canonical, if it said so
 * @param firstMicros server time, microseconds since 1970. Times that are missing or in the future become this plus their
 *   index in microseconds, so that the order inside the batch is kept
 * @param receivedMicros server time at which the batch arrived
 */
export function fixEffectiveTimes(
  given: readonly (string | undefined)[],
  clientTimestamp: string | undefined,
  firstMicros: bigint,
  receivedMicros: bigint,
): EffectiveTimes {
  const skew = clientTimestamp === undefined ? undefined : toMicros(clientTimestamp) - receivedMicros;
  const shift = skew !== undefined && (skew > SKEW_TOLERANCE_MICROS || skew < -SKEW_TOLERANCE_MICROS) ? skew : 0n;
  const latest = fromMicros(receivedMicros);
  let adjusted = 0;
  const times = given.map((time, index) => {
    if (time === undefined) return fromMicros(firstMicros + BigInt(index));
    const shifted = shift === 0n ? time : fromMicros(toMicros(time) - shift);
    const effective = shifted > latest ? fromMicros(firstMicros + BigInt(index)) : shifted;
    if (effective !== time) adjusted += 1;
    return effective;
  });
  return { times, adjusted, ...(skew === undefined ? {} : { skewMs: Number(skew / 1000n) }) };
}

/** How an operation's effective time came to differ from the one that the device wrote. */
export interface ClockCorrection {
  /** How far the device's clock was ahead of the server's (negative: behind), in ms; null if it did not say its time. */
  skewMs: number | null;
  /** Effective minus written, in ms. */
  adjustedMs: number;
  /** True if the device's clock was known to be off and the time was shifted. */
  isShifted: boolean;
  /** True if the time lay in the future, after a shift if there was one, and the server's was taken. */
  isClamped: boolean;
  /** True if the time was moved behind an operation that the device had sent before. */
  isMoved: boolean;
}

/**
 * Compares an effective time with the time as it was written.
 * @param written canonical
 * @param skewMs the skew of the batch that brought it, as fixEffectiveTimes returned it
 * @param acceptedAt server time at which the batch arrived, canonical
 * @returns undefined if the time was kept
 */
export function findCorrection(
  written: string,
  effective: string,
  skewMs: number | null,
  acceptedAt: string,
): ClockCorrection | undefined {
  if (written === effective) return undefined;
  const adjustedMs = Number(toMicros(effective) - toMicros(written)) / 1_000;
  const isShifted = skewMs !== null && Math.abs(skewMs) >= Number(SKEW_TOLERANCE_MICROS / 1_000n);
  // skewMs lost its microseconds, so a time that was only shifted may miss it by less than one millisecond.
  const deviates = !isShifted || Math.abs(adjustedMs + skewMs) >= 1;
  // The server's time is at least that of the batch.
  const isClamped = deviates && effective >= acceptedAt;
  return { skewMs, adjustedMs, isShifted, isClamped, isMoved: deviates && !isClamped };
}

/** The effective time of a direct write: server time, but never older than the task it changes. */
export function timeAfter(now: string, updatedAt: string | undefined): string {
  return updatedAt === undefined || updatedAt < now ? now : fromMicros(toMicros(updatedAt) + 1n);
}

export interface ServerClock {
  /** Server time, microseconds since 1970. */
  nowMicros(): bigint;
  /** The first of `count` consecutive microseconds that no earlier call was given: batches received in the same millisecond keep their order. */
  reserve(count: number): bigint;
}

/** A clock that went back by more was ahead and is right now: going on from where it had been would take the future for the time until then. */
const SET_BACK_MICROS = 2_000_000n;

/** A server clock on an injected source of milliseconds. The guarantee of reserve() holds within one process, while its clock is not set back. */
export function createServerClock(nowMs: () => number): ServerClock {
  let next = 0n;
  const nowMicros = () => BigInt(Math.trunc(nowMs())) * 1000n;
  return {
    nowMicros,
    reserve(count) {
      const now = nowMicros();
      const first = now > next || next - now > SET_BACK_MICROS ? now : next;
      next = first + BigInt(count);
      return first;
    },
  };
}
