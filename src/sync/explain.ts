// What became of one operation, as one plain sentence for the person whose edit it was. All such sentences are written here; the facts
// come in as data, so that a sentence never says more than the log knows.
import type { ClockCorrection } from './clock.js';
import type { Outcome, OutcomeCode } from './merge.js';
import type { FieldName, FieldOutcomes } from './mergeFields.js';
import { fieldsThat, lossesOf, nameEdit, tellLosses, type WinningWrite, type WriteContent } from './tellLosses.js';
import type { Version } from './version.js';
import { describeDuration, quote, tellTimes } from './wording.js';

/** The vocabulary of a batch's results. */
export type OperationStatus = Outcome | 'error' | 'pending';

/** What is known of an operation. */
export interface OperationStory extends Version, WriteContent {
  taskId: string;
  /** The task's title as it is now; undefined where there is no task. */
  taskTitle?: string;
  status: OperationStatus;
  /** Its place in the workspace's order; null if it changed nothing. */
  seq: number | null;
  broughtBack: boolean;
  /** Why a conflict is one, where it is not for its version. */
  outcomeCode: OutcomeCode | null;
  /** What became of each field, where not all of them won. */
  fieldOutcomes: FieldOutcomes | null;
  /** What it lost to; undefined where it lost nothing, or from before that was kept. */
  lostTo?: WinningWrite;
  /** Each lost field with what won it, where these are different writes. */
  lostToByField?: Partial<Record<FieldName, WinningWrite>>;
  /** How many tries failed, of how many that it has. */
  retryCount: number;
  maxRetries: number;
  error: string | null;
  /** Canonical; null before the first try. */
  lastAttemptedAt: string | null;
  /** How its time was corrected; undefined if it was kept. */
  correction?: ClockCorrection;
}

/** @param now canonical server time: a sentence about today names no date */
export function explainOperation(story: OperationStory, now: string): string {
  const when = tellTimes(timesIn(story), now);
  const subject = `${nameEdit(story, story)} from ${story.clientId} ${when(story.updatedAt)}`;
  const sentence = `${subject} ${tellOutcome(story, when)}${tellCorrection(story)}.`;
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

function timesIn(story: OperationStory): string[] {
  const { updatedAt, lastAttemptedAt, status } = story;
  return [
    updatedAt,
    ...lossesOf(story).map(({ winner }) => winner.updatedAt),
    ...(status === 'pending' && lastAttemptedAt !== null ? [lastAttemptedAt] : []),
  ];
}

function tellOutcome(story: OperationStory, when: (time: string) => string): string {
  switch (story.status) {
    case 'success':
      return tellSuccess(story, when);
    case 'conflict':
      return tellConflict(story, when);
    case 'exists':
      return 'changed nothing, because this very create had been applied before';
    case 'not_found':
      return `changed nothing, because there was no task with the id ${quote(story.taskId)}`;
    case 'error':
      return tellError(story);
    case 'pending':
      return tellPending(story, when);
  }
}

function tellSuccess(story: OperationStory, when: (time: string) => string): string {
  const { seq, kind, broughtBack, fieldOutcomes } = story;
  if (fieldOutcomes !== null) return tellFields(story, fieldOutcomes, when);
  if (seq === null) return 'changed nothing, because it had been applied before';
  if (broughtBack) return 'brought the deleted task back, because it is later than the delete';
  return kind === 'delete' ? 'was applied: it deleted the task' : 'was applied';
}

function tellFields(story: OperationStory, outcomes: FieldOutcomes, when: (time: string) => string): string {
  const losses = lossesOf(story);
  const applied = `was applied in part (${fieldsThat('applied', outcomes).join(', ')})`;
  if (losses.length > 0) return `${applied} and ${tellLosses(story, losses, when)}`;
  return `${applied}; the server kept newer edits of ${fieldsThat('kept_server', outcomes).join(', ')}`;
}

function tellConflict(story: OperationStory, when: (time: string) => string): string {
  const { outcomeCode } = story;
  if (outcomeCode === 'deleted_remotely') {
    return 'changed nothing, because the task was deleted long ago and its content is gone';
  }
  if (outcomeCode === 'precondition_failed')
    return 'changed nothing, because the task had changed since the device saw it';
  const losses = lossesOf(story);
  return losses.length === 0 ? 'lost to a later write, because later writes win' : tellLosses(story, losses, when);
}

function tellError({ retryCount, maxRetries, error, outcomeCode, taskId }: OperationStory): string {
  if (outcomeCode === 'id_taken') return `changed nothing, because ${quote(taskId)} is the server_id of another task`;
  const why = tidyError(error);
  if (outcomeCode === 'depends_on_failed') return `is kept and was not applied: ${why}`;
  // A permanent fault costs no retry: with all of them used up it was one that might have passed.
  return retryCount > 0 && retryCount >= maxRetries
    ? `could not be applied in ${countTries(retryCount)} and is kept; the last error was: ${why}`
    : `cannot be applied as it is and is kept; the error was: ${why}`;
}

function tellPending({ retryCount, error, lastAttemptedAt }: OperationStory, when: (time: string) => string): string {
  if (lastAttemptedAt === null) return 'is stored and waits to be applied';
  const waits = `waits to be tried again; it was last tried ${when(lastAttemptedAt)}`;
  if (retryCount === 0) return waits;
  return `${waits} after ${countTries(retryCount)} failed, the last with: ${tidyError(error)}`;
}

function tellCorrection({ correction, clientId }: OperationStory): string {
  if (correction === undefined) return '';
  const { skewMs, adjustedMs, isShifted, isClamped, isMoved } = correction;
  const moved = `it counts as later than an edit that ${clientId} had sent before, which would have had its time`;
  if (isMoved && !isShifted) return `; ${moved}`;
  if (!isShifted || skewMs === null) {
    return `; the time that ${clientId} gave lay ${describeDuration(adjustedMs)} in the future and was set to the server's`;
  }
  const side = skewMs > 0 ? 'ahead' : 'behind';
  const shifted = `; ${clientId}'s clock was ${describeDuration(skewMs)} ${side} and was corrected`;
  if (isMoved) return `${shifted}; ${moved}`;
  return isClamped ? `${shifted}, and as the time still lay in the future, the server's was taken` : shifted;
}

const countTries = (count: number) => (count === 1 ? '1 try' : `${count} tries`);

/** The database's message as a part of a sentence. */
function tidyError(error: string | null): string {
  return (error ?? 'unknown').replaceAll(/\s+/g, ' ').trim().replace(/\.+$/, '');
}
