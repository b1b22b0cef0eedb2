// The order in which one client sent its operations on one task. Its clock may be too coarse to show it, and corrected times may turn it round:
// batches of a device whose clock is off are shifted by slightly different amounts, and two api processes have two clocks. So of two operations
// of one client on one task the one that was sent later is later, unless the device itself says that it was made earlier. Only the client's
// own operations enter, so the winner does not depend on when those of others arrive (I4, docs/decisions/0023).
import { fromMicros, parseTimestamp, toMicros } from './timestamp.js';

/** An operation of the same client on the same task that was sent before. */
export interface EarlierOperation {
  /** Effective time, canonical. */
  updatedAt: string;
  /** The time as the device wrote it, in whatever form; null where it wrote none. */
  writtenAt: string | null;
}

/** What is placed; without `writtenAt` it stays as it is. */
export interface PlacedOperation {
  clientId: string;
  taskId: string;
  updatedAt: string;
  /** As in EarlierOperation; undefined for what no device wrote. */
  writtenAt?: string | null;
  /** Those before this one of which the log knows and which may be in its way, in any order. */
  sentBefore?: readonly EarlierOperation[];
}

/** Of an operation without a time: it was made when it was sent. */
const WHEN_SENT = '9999-12-31T23:59:59.999999Z';

export interface OwnOrder {
  /** @returns the operation with its place in its client's order: a microsecond behind those that it must not precede */
  place<Op extends PlacedOperation>(operation: Op): Op;
  /** Those that come later are placed behind it, too. */
  add(operation: PlacedOperation): void;
}

/** The order within one transaction. */
export function createOwnOrder(): OwnOrder {
  const added = new Map<string, PlacedOperation[]>();
  return {
    place(operation) {
      if (operation.writtenAt === undefined) return operation;
      const { clientId, taskId, sentBefore = [] } = operation;
      const own = added.get(taskId)?.filter((each) => each.clientId === clientId && each.writtenAt !== undefined) ?? [];
      const behind = latestBefore(operation, [...sentBefore, ...own]);
      return behind === undefined ? operation : { ...operation, updatedAt: fromMicros(toMicros(behind) + 1n) };
    },
    add(operation) {
      const ofTask = added.get(operation.taskId);
      if (ofTask === undefined) added.set(operation.taskId, [operation]);
      else ofTask.push(operation);
    },
  };
}

/** The latest time that the operation must not precede; undefined where its own is later. */
function latestBefore(operation: PlacedOperation, before: readonly Partial<EarlierOperation>[]): string | undefined {
  let latest: string | undefined;
  for (const { updatedAt = '', writtenAt } of before) {
    if (updatedAt < (latest ?? operation.updatedAt)) continue;
    if (timeOf(writtenAt) <= timeOf(operation.writtenAt)) latest = updatedAt;
  }
  return latest;
}

const timeOf = (writtenAt: string | null | undefined) => parseTimestamp(writtenAt ?? '') ?? WHEN_SENT;
