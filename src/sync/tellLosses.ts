// To what an operation lost, as a part of its sentence (explain.ts): each winner once, with the fields that it won.
import type { OperationStory } from './explain.js';
import type { OperationKind } from './merge.js';
import { type FieldName, type FieldOutcome, type FieldOutcomes, MERGED_FIELDS } from './mergeFields.js';
import type { TaskFields } from './task.js';
import { compareVersions, type Version } from './version.js';
import { quote } from './wording.js';

/** What a write wanted. */
export interface WriteContent {
  kind: OperationKind;
  fields: Partial<TaskFields>;
}

/** A write that won; without a content where it is no longer in the log. */
export type WinningWrite = Version & { content?: WriteContent };

/** A winner with the fields that it won; a conflict with one winner needs none. */
export interface Loss {
  winner: WinningWrite;
  fields: FieldName[];
}

/** What a story lost, by winner; nothing where it lost nothing, or from before that was kept. */
export function lossesOf({ status, lostTo, lostToByField, fieldOutcomes }: OperationStory): Loss[] {
  if (lostTo === undefined || (status !== 'conflict' && status !== 'success')) return [];
  if (lostToByField === undefined) return [{ winner: lostTo, fields: fieldsThat('kept_server', fieldOutcomes ?? {}) }];
  const losses: Loss[] = [];
  for (const field of MERGED_FIELDS) {
    const winner = lostToByField[field];
    const same = losses.find((loss) => winner !== undefined && compareVersions(loss.winner, winner) === 0);
    if (same !== undefined) same.fields.push(field);
    else if (winner !== undefined) losses.push({ winner, fields: [field] });
  }
  return losses;
}

/** The fields with this outcome. */
export function fieldsThat(wanted: FieldOutcome, outcomes: FieldOutcomes): FieldName[] {
  return MERGED_FIELDS.filter((field) => outcomes[field] === wanted);
}

/** @param losses at least one @param when tells a time in words */
export function tellLosses(story: OperationStory, losses: Loss[], when: (time: string) => string): string {
  const winners = losses.map((loss) => {
    const { winner } = loss;
    const name = winner.content === undefined ? 'a write' : nameEdit(aboutFields(winner.content, loss.fields), story);
    return `to ${name} from ${winner.clientId} ${when(winner.updatedAt)}${tellWon(loss)}`;
  });
  const rules = new Set(losses.map(({ winner }) => tellRule(story, winner)));
  return `lost ${enumerate(winners)}, because ${[...rules].join(' and ')}`;
}

/** Which fields a winner won, where its name does not say so: a delete's does, and so does that of an edit of other fields than the title. */
function tellWon({ winner: { content }, fields }: Loss): string {
  const won = fields.flatMap((field) => (field === 'deleted' ? [] : [field]));
  const isNamed =
    content !== undefined && won.every((field) => field !== 'title' && content.fields[field] !== undefined);
  return isNamed || won.length === 0 ? '' : ` (${won.join(', ')})`;
}

/** a, b and c. */
function enumerate(parts: readonly string[]): string {
  const [last = '', ...before] = parts.toReversed();
  return before.length === 0 ? last : `${before.toReversed().join(', ')} and ${last}`;
}

/** Of what the winner wrote only what it won: its title is not the point where it won the description. */
function aboutFields({ kind, fields }: WriteContent, won: FieldName[]): WriteContent {
  const about = Object.fromEntries(Object.entries(fields).filter(([field]) => won.some((each) => each === field)));
  return { kind, fields: Object.keys(about).length === 0 ? fields : about };
}

/** Which part of the versions decided (see version.ts). */
function tellRule(loser: Version, winner: Version): string {
  if (loser.updatedAt !== winner.updatedAt) return 'later writes win';
  const decider = loser.clientId === winner.clientId ? 'op_id' : 'client_id';
  return `of two writes at the same time the one with the higher ${decider} wins`;
}

/** An edit by what it sets: its title says most to whoever wrote it. */
export function nameEdit(
  { kind, fields }: WriteContent,
  { taskId, taskTitle }: { taskId: string; taskTitle?: string },
) {
  const task = taskTitle === undefined ? `task ${quote(taskId)}` : quote(taskTitle);
  if (kind === 'delete') return `the delete of ${task}`;
  if (fields.title !== undefined) return quote(fields.title);
  const set = [
    ...(fields.completed === undefined ? [] : [`completed: ${fields.completed ? 'yes' : 'no'}`]),
    ...(fields.description === undefined ? [] : ['description']),
  ];
  return `the edit of ${task} (${set.length === 0 ? 'nothing set' : set.join(', ')})`;
}
