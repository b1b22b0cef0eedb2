// What the API shows of the operation log: entries of a task's history, and one operation with its explanation.
import type { LoggedOperation, OperationWithContext, Winner } from '../storage/readHistory.js';
import { type ClockCorrection, findCorrection } from '../sync/clock.js';
import { explainOperation, type OperationStory } from '../sync/explain.js';
import { type FieldName, MERGED_FIELDS } from '../sync/mergeFields.js';
import { fieldsOf } from '../sync/operation.js';
import type { WinningWrite } from '../sync/tellLosses.js';
import { parseTimestamp } from '../sync/timestamp.js';
import { messageOf, statusOf } from './present.js';

/** An operation as an entry of its task's history. */
export function presentHistoryEntry(operation: LoggedOperation) {
  const status = statusOf(operation);
  // The batch's message points at the task beside it, which a history does not have.
  const isOutdated = status === 'conflict' && operation.outcomeCode === null;
  return {
    id: operation.id,
    client_id: operation.clientId,
    op_id: operation.opId,
    operation: operation.kind,
    data: dataOf(operation),
    client_time: clientTimeOf(operation),
    updated_at: operation.updatedAt,
    created_at: operation.createdAt,
    // The attempt that settled an operation is its last one.
    applied_at: operation.status === 'synced' ? operation.lastAttemptedAt : null,
    status,
    seq: operation.seq,
    brought_back: operation.broughtBack,
    ...(operation.fieldOutcomes === null ? {} : { merged: true, fields: operation.fieldOutcomes }),
    ...(operation.outcomeCode === null ? {} : { code: operation.outcomeCode }),
    message: isOutdated ? 'The task had a newer version.' : (messageOf(status, operation) ?? null),
    lost_to: operation.lostTo === null ? null : presentLostTo(operation.lostTo),
    ...(operation.lostToByField === null ? {} : { lost_to_by_field: eachOf(operation.lostToByField, presentLostTo) }),
  };
}

function presentLostTo(winner: Winner) {
  const { title } = winner.written === null ? {} : fieldsOf(winner.written.data);
  return { ...presentVersion(winner), ...(title === undefined ? {} : { title }) };
}

/** One operation with all that is known of it. @param now canonical server time */
export function presentOperation(operation: OperationWithContext, now: string) {
  const correction = correctionOf(operation);
  return {
    ...presentHistoryEntry(operation),
    task_id: operation.taskId,
    batch_id: operation.batchId,
    retry_count: operation.retryCount,
    max_retries: operation.maxRetries,
    last_attempted_at: operation.lastAttemptedAt,
    clock:
      correction === undefined ? null : { skew_ms: correction.skewMs, adjusted_ms: Math.round(correction.adjustedMs) },
    winner: operation.lostTo === null ? null : presentWinner(operation.lostTo),
    ...(operation.lostToByField === null ? {} : { winner_by_field: eachOf(operation.lostToByField, presentWinner) }),
    explanation: explainOperation(storyOf(operation, correction), now),
  };
}

function presentWinner(winner: Winner) {
  const { written } = winner;
  return {
    ...presentVersion(winner),
    operation: written?.kind ?? null,
    data: written === null ? null : dataOf(written),
  };
}

const presentVersion = (version: { clientId: string; opId: string; updatedAt: string }) => ({
  client_id: version.clientId,
  op_id: version.opId,
  updated_at: version.updatedAt,
});

/** The fields that an operation set; a delete sets none, whatever it carried. */
function dataOf({ kind, data }: Pick<LoggedOperation, 'kind' | 'data'>) {
  return kind === 'delete' ? {} : fieldsOf(data);
}

function clientTimeOf({ data }: LoggedOperation): string | null {
  return typeof data.updated_at === 'string' ? data.updated_at : null;
}

function correctionOf(operation: OperationWithContext): ClockCorrection | undefined {
  const written = parseTimestamp(clientTimeOf(operation) ?? '');
  return written === undefined
    ? undefined
    : findCorrection(written, operation.updatedAt, operation.skewMs, operation.createdAt);
}

function storyOf(operation: OperationWithContext, correction: ClockCorrection | undefined): OperationStory {
  const { lostTo, lostToByField, taskTitle, ...known } = operation;
  return {
    ...known,
    fields: dataOf(operation),
    status: statusOf(operation),
    ...(taskTitle === null ? {} : { taskTitle }),
    ...(correction === undefined ? {} : { correction }),
    ...(lostTo === null ? {} : { lostTo: winnerOf(lostTo) }),
    ...(lostToByField === null ? {} : { lostToByField: eachOf(lostToByField, winnerOf) }),
  };
}

function winnerOf({ written, ...version }: Winner): WinningWrite {
  return written === null ? version : { ...version, content: { kind: written.kind, fields: dataOf(written) } };
}

/** The same for each lost field. */
function eachOf<Shown>(winners: Partial<Record<FieldName, Winner>>, show: (winner: Winner) => Shown) {
  const shown: Partial<Record<FieldName, Shown>> = {};
  for (const field of MERGED_FIELDS) {
    const winner = winners[field];
    if (winner !== undefined) shown[field] = show(winner);
  }
  return shown;
}
