// What workers tell of the batches that requests of this process wait for, together with the wake-up. What was not told is read.
import type { OperationState, StoredBatch } from '../storage/readBatch.js';
import { type Outcomes, operationKey } from '../storage/readOutcomes.js';
import type { TaskView } from '../storage/taskView.js';
import { isToldOutcomes, type ToldOperation } from '../storage/toldOutcomes.js';

/** A batch that is listened for. */
export interface ExpectedBatch {
  /** What was told of its operations so far, which may be nothing. */
  told(): Outcomes;
  /** Stops listening; must be called. */
  end(): void;
}

export interface ToldBatches {
  /** Under which name this process is told. */
  readonly name: string;
  /** Listens from now on. */
  expect(batch: StoredBatch): ExpectedBatch;
  /** Takes what came with a wake-up. */
  receive(outcomes: unknown): void;
}

/** @param name of this process, different from all others, also from the one that it replaces */
export function createToldBatches(name: string): ToldBatches {
  const expected = new Map<string, ReturnType<typeof collect>>();
  return {
    name,
    expect(batch) {
      const collected = collect(batch);
      expected.set(batch.id, collected);
      return { told: () => collected.outcomes, end: () => void expected.delete(batch.id) };
    },
    receive(message) {
      if (!isToldOutcomes(message)) return;
      const tasks = new Map(message.tasks.map((task) => [task.id, task]));
      for (const [batchId, operations] of Object.entries(message.batches)) {
        expected.get(batchId)?.take(operations, tasks, message.incarnation);
      }
    },
  };
}

/** Puts together what several transactions, also of several workers, did with a batch. */
function collect(batch: StoredBatch) {
  const operations = new Map<string, OperationState>();
  const tasks = new Map<string, TaskView>();
  const outcomes = { operations, tasks, incarnation: '' };
  return {
    outcomes,
    take(told: ToldOperation[], toldTasks: ReadonlyMap<string, TaskView>, incarnation: string) {
      outcomes.incarnation = incarnation;
      for (const operation of told) {
        const state = stateOf(batch, operation);
        if (state !== undefined) operations.set(operationKey(state), state);
        const task = toldTasks.get(operation.taskId);
        // Two workers do not share a connection: what the first one did may be told last.
        if (task !== undefined && task.seq >= (tasks.get(task.id)?.seq ?? 0)) tasks.set(task.id, task);
      }
    },
  };
}

function stateOf({ id: batchId, entries }: StoredBatch, operation: ToldOperation): OperationState | undefined {
  const entry = entries[operation.position];
  if (entry === undefined || 'error' in entry) return undefined;
  return {
    id: operation.id,
    batchId,
    position: operation.position,
    clientId: entry.clientId,
    opId: entry.opId,
    contentHash: entry.contentHash,
    taskId: operation.taskId,
    kind: operation.kind,
    status: 'synced',
    outcome: operation.outcome,
    ifSeq: operation.ifSeq,
    fieldOutcomes: operation.fieldOutcomes,
    outcomeCode: operation.outcomeCode,
    error: null,
  };
}
