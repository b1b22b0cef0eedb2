// Conflicts in words: who wrote what when, who won, and why. Pure.
// Everything comes from what was sent and what the server answered; times are shown as those of the recorded day.
import type { Outcome } from './outcomes.js';
import { deviceOf, type Run } from './prepareRun.js';
import type { Device, RecordedItem } from './recording.js';

/** A difference below this is the delay of a request that the server took for part of a corrected clock's error. */
const SAME_WRITE_MS = 2_000;

export type ConflictKind = 'edit' | 'clock' | 'delete';

interface Side {
  device: Device;
  /** True time on the recorded day, as the server sees it. */
  at: number;
  words: string;
  deletes: boolean;
}

export interface Conflict {
  kind: ConflictKind;
  taskId: string;
  /** The write that lost, with how far its device's clock was ahead. */
  loser: Side & { skewMs: number };
  winner: Side;
}

/** Every conflict between two devices of this run. */
export function findConflicts(outcomes: readonly Outcome[], run: Run): Conflict[] {
  return outcomes.flatMap((outcome) => {
    const resolved = outcome.fate === 'conflicts' ? outcome.answer?.resolved_data : undefined;
    const device = resolved ? deviceOf(resolved.updated_by, run) : undefined;
    if (!resolved || device === undefined || device === outcome.device) return [];
    const taskId = outcome.item.data.id;
    const titleAt = (ms: number) => findTitle(outcomes, taskId, ms) ?? resolved.title;
    const describe = ({ item }: Outcome, ms: number) => describeWrite(item, titleAt(ms));

    const lostAt = effectiveAt(outcome);
    const { item, skewMs } = outcome;
    const deletes = item.operation === 'delete';
    const loser = { device: outcome.device, at: lostAt, words: describe(outcome, lostAt), deletes, skewMs };

    const wonAt = Date.parse(resolved.updated_at) - run.shiftMs;
    const write = findWrite(outcomes, device, taskId, wonAt);
    const words = write ? describe(write, wonAt) : `${resolved.deleted ? 'deleting ' : ''}${quote(resolved.title)}`;
    const winner = { device, at: wonAt, words, deletes: resolved.deleted === true };
    return [{ kind: kindOf(loser, winner), taskId, loser, winner }];
  });
}

/** The write that the server names by its device and time. */
function findWrite(outcomes: readonly Outcome[], device: Device, taskId: string, at: number): Outcome | undefined {
  return outcomes.find((outcome) => {
    const isSame = outcome.device === device && outcome.item.data.id === taskId;
    return isSame && Math.abs(effectiveAt(outcome) - at) < SAME_WRITE_MS;
  });
}

function kindOf(loser: Conflict['loser'], winner: Side): ConflictKind {
  if (loser.at + loser.skewMs > winner.at) return 'clock';
  return loser.deletes || winner.deletes ? 'delete' : 'edit';
}

/** One conflict of each kind where there is one, then others, up to `count`; each about another task. */
export function chooseConflicts(conflicts: readonly Conflict[], count = 3): Conflict[] {
  const byWeight = [...conflicts].sort((left, right) => weigh(right) - weigh(left) || gapOf(left) - gapOf(right));
  const chosen: Conflict[] = [];
  const take = (conflict: Conflict | undefined) => {
    if (conflict && chosen.length < count && !chosen.some(({ taskId }) => taskId === conflict.taskId)) {
      chosen.push(conflict);
    }
  };
  const kinds: ConflictKind[] = ['edit', 'clock', 'delete'];
  for (const kind of kinds) take(byWeight.find((conflict) => conflict.kind === kind));
  for (const conflict of byWeight) take(conflict);
  return chosen;
}

/** Two titles side by side say more than a tick beside a note; the same words twice say nothing. */
function weigh({ loser, winner }: Conflict): number {
  if (loser.words === winner.words) return -1;
  return [loser, winner].filter((side) => side.words.startsWith("'")).length;
}

const gapOf = ({ loser, winner }: Conflict) => winner.at - loser.at;

/** The conflict as one sentence. `recordedDay` (YYYY-MM-DD) is the day whose times need no weekday. */
export function tellConflict({ kind, loser, winner }: Conflict, recordedDay: string): string {
  const time = (ms: number) => formatTime(ms, recordedDay);
  const said = kind === 'clock' ? `, though its clock said ${time(loser.at + loser.skewMs)}` : '';
  const lost = `${capitalize(loser.words)} (${loser.device}, ${time(loser.at)}${said})`;
  const won = `${winner.words} (${winner.device}, ${time(winner.at)})`;
  return `${lost} lost to ${won}: ${reasonOf({ kind, loser, winner })}`;
}

function reasonOf({ kind, loser, winner }: Pick<Conflict, 'kind' | 'loser' | 'winner'>): string {
  if (kind === 'clock') {
    const minutes = Math.round(loser.skewMs / 60_000);
    return `the ${loser.device}'s clock was ${minutes} min ahead and was corrected; uncorrected, it would have won.`;
  }
  if (winner.deletes) return 'the delete is later, so the task stays deleted.';
  if (loser.deletes) return 'the edit is later than the delete, so the task stays.';
  return 'the later edit wins.';
}

/** The title that the task had at a time: a write without a title is told with the one it met. */
function findTitle(outcomes: readonly Outcome[], taskId: string, at: number): string | undefined {
  const writes = outcomes.filter(({ item, fate }) => item.data.id === taskId && fate !== 'rejected');
  const titled = writes.filter((outcome) => typeof outcome.item.data.title === 'string' && effectiveAt(outcome) < at);
  const latest = titled.sort((left, right) => effectiveAt(right) - effectiveAt(left))[0];
  return typeof latest?.item.data.title === 'string' ? latest.item.data.title : undefined;
}

function effectiveAt({ item, skewMs }: Outcome): number {
  return Date.parse(item.data.updated_at) - skewMs;
}

function describeWrite({ operation, data }: RecordedItem, title: string): string {
  if (operation === 'delete') return `deleting ${quote(title)}`;
  if (typeof data.title === 'string') return quote(data.title);
  if (data.description !== undefined) return `the note ${quote(data.description)} on ${quote(title)}`;
  return `${data.completed ? 'ticking off' : 'reopening'} ${quote(title)}`;
}

const quote = (text: string) => `'${text}'`;
const capitalize = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function formatTime(ms: number, recordedDay: string): string {
  const rounded = new Date(Math.round(ms / 1000) * 1000);
  const [day, time = ''] = rounded.toISOString().split('T');
  const weekday = rounded.toLocaleDateString('en-GB', { weekday: 'short', timeZone: 'UTC' });
  return day === recordedDay ? time.slice(0, 5) : `${weekday} ${time.slice(0, 5)}`;
}
