// What workers tell of the batches that requests of this process wait for, in front of the wake-up. It is used where one message tells of all
// operations of a batch: put together from several, or with what is read of the rest, an answer would be as old as its oldest part. What is told
// from another time line of the database is dropped, and read instead (I12).
import type { OperationState, StoredBatch } from '../storage/readBatch.js';
import { type Outcomes, operationKey } from '../storage/readOutcomes.js';
import { isToldOutcomes, type ToldOperation, type ToldOutcomes } from '../storage/toldOutcomes.js';
import type { TimeLine } from '../timeLine.js';

/** A batch that is listened for. */
export interface ExpectedBatch {
  /** What became of all of its operations; undefined where that was not told. */
  told(): Outcomes | undefined;
  /** Stops listening; must be called. */
  end(): void;
}

export interface ToldBatches {
  /** Under which name this process is told. */
  readonly name: string;
  /** Listens from now on. */
  expect(batch: StoredBatch): ExpectedBatch;
  /** Takes what is told. */
  receive(message: unknown): void;
}

interface Expected {
  batch: StoredBatch;
  told: Outcomes | undefined;
}

/** @param name of this process, different from all others, also from the one that it replaces */
export function createToldBatches(name: string, timeLine: TimeLine): ToldBatches {
  const expected = new Map<string, Expected>();
  timeLine.onChange(() => {
    for (const entry of expected.values()) entry.told = undefined;
  });
  return {
    name,
    expect(batch) {
      const entry: Expected = { batch, told: undefined };
      expected.set(batch.id, entry);
      return { told: () => entry.told, end: () => void expected.delete(batch.id) };
    },
    receive(message) {
      if (!isToldOutcomes(message) || message.incarnation !== timeLine.current()) return;
      for (const [batchId, operations] of Object.entries(message.batches)) {
        const entry = expected.get(batchId);
        if (entry !== undefined) entry.told = outcomesOf(entry.batch, operations, message) ?? entry.told;
      }
    },
  };
}

/** @returns undefined where not all of the batch's operations are among those that were told */
function outcomesOf(batch: StoredBatch, told: ToldOperation[], message: ToldOutcomes): Outcomes | undefined {
  const operations = new Map<string, OperationState>();
  for (const operation of told) {
    const state = stateOf(batch, operation);
    if (state !== undefined) operations.set(operationKey(state), state);
  }
  if (!batch.entries.every((entry) => 'error' in entry || operations.has(operationKey(entry)))) return undefined;
  const tasks = new Map(message.tasks.map((task) => [task.id, task]));
  return { operations, tasks, unread: new Map(), incarnation: message.incarnation };
}

function stateOf({ id: batchId, entries }: StoredBatch, told: ToldOperation): OperationState | undefined {
  const entry = entries[told.position];
  if (entry === undefined || 'error' in entry) return undefined;
  return {
    id: told.id,
    batchId,
    position: told.position,
    clientId: entry.clientId,
    opId: entry.opId,
    contentHash: entry.contentHash,
    taskId: told.taskId,
    kind: told.kind,
    status: 'synced',
    outcome: told.outcome,
    ifSeq: told.ifSeq,
    fieldOutcomes: told.fieldOutcomes,
    outcomeCode: told.outcomeCode,
    error: null,
  };
}
