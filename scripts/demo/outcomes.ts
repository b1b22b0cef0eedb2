// What became of the operations that were sent: one fate each, counted per device. Pure.
import type { Device, RecordedBatch, RecordedItem } from './recording.js';
import type { AnsweredItem, BatchAnswer } from './sendBatch.js';

/** Each operation sent has exactly one fate, so that a row of the table adds up to what was sent. */
export type Fate = 'applied' | 'conflicts' | 'duplicates' | 'rejected' | 'not found' | 'existed' | 'unanswered';

export interface Outcome {
  device: Device;
  /** As recorded: with the recording's ids and the device's own clock. */
  item: RecordedItem;
  fate: Fate;
  /** How far the device's clock was ahead, as the server measured it; its edits were moved back by that. */
  skewMs: number;
  answer?: AnsweredItem;
}

/** Below this the server takes a difference of the clocks for network delay and moves nothing. */
const SKEW_TOLERANCE_MS = 2_000;

const fates: Record<string, Fate> = {
  success: 'applied',
  conflict: 'conflicts',
  error: 'rejected',
  not_found: 'not found',
  exists: 'existed',
};

/** Puts each operation of a batch beside its answer. */
export function matchOutcomes(batch: RecordedBatch, answer: BatchAnswer): Outcome[] {
  const answers = new Map(answer.processed_items.map((item) => [item.index, item]));
  const skewMs = answer.clock?.skew_ms ?? 0;
  return batch.request.items.map((item, index) => {
    const answered = answers.get(index);
    return {
      device: batch.device,
      item,
      fate: fateOf(answered),
      skewMs: Math.abs(skewMs) > SKEW_TOLERANCE_MS ? skewMs : 0,
      ...(answered === undefined ? {} : { answer: answered }),
    };
  });
}

function fateOf(answer: AnsweredItem | undefined): Fate {
  const fate = answer === undefined ? undefined : fates[answer.status];
  if (fate === undefined) return 'unanswered';
  return answer?.duplicate ? 'duplicates' : fate;
}

export interface Tally {
  name: string;
  sent: number;
  fates: Record<Fate, number>;
  opsPerSecond: number;
}

/** One row a device, in the order of first sight, and the total. `elapsedMs` is the time spent sending, by device. */
export function tallyOutcomes(outcomes: readonly Outcome[], elapsedMs: ReadonlyMap<Device, number>): Tally[] {
  const devices = [...new Set(outcomes.map(({ device }) => device))];
  const rows = devices.map((device) =>
    tally(
      device,
      outcomes.filter((outcome) => outcome.device === device),
      elapsedMs.get(device) ?? 0,
    ),
  );
  const total = [...elapsedMs.values()].reduce((sum, ms) => sum + ms, 0);
  return [...rows, tally('total', outcomes, total)];
}

function tally(name: string, outcomes: readonly Outcome[], elapsedMs: number): Tally {
  const counts: Tally['fates'] = {
    ...{ applied: 0, conflicts: 0, duplicates: 0, rejected: 0 },
    ...{ 'not found': 0, existed: 0, unanswered: 0 },
  };
  for (const { fate } of outcomes) counts[fate] += 1;
  const opsPerSecond = elapsedMs > 0 ? (outcomes.length * 1000) / elapsedMs : 0;
  return { name, sent: outcomes.length, fates: counts, opsPerSecond };
}
