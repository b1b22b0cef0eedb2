// One edit on one device: what a person does to a task that the device knows, and the operation it becomes.
// Pure given its source of chance.
import { clockErrorsMs, type Write } from './dayPlan.js';
import type { Random } from './random.js';
import type { Device, Operation, RecordedItem } from './recording.js';
import { type TaskText, titleEndings } from './taskTexts.js';

/** A task as a device (or the server) knows it; `text` is absent for the tasks of the planned scenes. */
export interface KnownTask {
  id: string;
  title: string;
  description: string;
  completed: boolean;
  deleted: boolean;
  changedAt: number;
  text?: TaskText;
}

/** An edit in true time, before it is written down with the device's clock. */
export interface Edit {
  taskId: string;
  at: number;
  operation: Operation;
  fields: { title?: unknown; description?: string; completed?: boolean };
  text?: TaskText;
}

const moreNotes: readonly string[] = [
  'Anna knows more.',
  'See the mail from yesterday.',
  'Not before Friday.',
  'Can wait.',
];

/** The operation and fields of a planned write. */
export function planWrite(write: Write): Pick<Edit, 'operation' | 'fields'> {
  if (write.delete) return { operation: 'delete', fields: {} };
  if (write.brokenTitle) return { operation: 'create', fields: { title: write.brokenTitle } };
  if (write.create) return { operation: 'create', fields: { title: write.create, completed: false } };
  return { operation: 'update', fields: write };
}

/** A new task from the catalogue; every third one has its note from the start. */
export function chooseCreate(random: Random, text: TaskText): Pick<Edit, 'operation' | 'fields' | 'text'> {
  const description = random.next() < 0.35 ? { description: text.note } : {};
  return { operation: 'create', fields: { title: text.title, ...description, completed: false }, text };
}

/** What somebody does to an existing task: mostly ticking off, improving the title, or noting something. */
export function chooseChange(random: Random, task: KnownTask, text: TaskText): Pick<Edit, 'operation' | 'fields'> {
  const chance = random.next();
  if (task.completed) {
    return chance < 0.5 ? { operation: 'delete', fields: {} } : { operation: 'update', fields: { completed: false } };
  }
  if (chance < 0.3) return { operation: 'update', fields: { completed: true } };
  const isPolished = titleEndings.some((ending) => task.title.endsWith(`(${ending})`));
  if (chance < 0.63 && !isPolished) return { operation: 'update', fields: { title: improveTitle(random, task, text) } };
  if (chance < 0.94) return { operation: 'update', fields: { description: improveNote(random, task, text) } };
  return { operation: 'delete', fields: {} };
}

function improveTitle(random: Random, task: KnownTask, text: TaskText): string {
  if (task.title === text.title) return text.better;
  return `${text.better} (${random.pick(titleEndings)})`;
}

function improveNote(random: Random, task: KnownTask, text: TaskText): string {
  if (task.description === '') return text.note;
  return `${text.note} ${random.pick(moreNotes.filter((note) => !task.description.includes(note)))}`;
}

/** Prefers what was touched lately, as people do, and leaves finished tasks mostly alone. */
export function chooseTask(random: Random, known: Iterable<KnownTask>): KnownTask | undefined {
  const alive = [...known].filter((task) => task.text !== undefined && !task.deleted);
  const wanted = random.next() < 0.08;
  const candidates = alive.filter((task) => task.completed === wanted);
  if (candidates.length === 0) return undefined;
  const byRecency = candidates.sort((left, right) => right.changedAt - left.changedAt);
  return random.pick(random.next() < 0.55 ? byRecency.slice(0, 14) : byRecency);
}

/** Takes an edit into a set of known tasks unless that already knows a later one. */
export function learnEdit(tasks: Map<string, KnownTask>, edit: Edit): void {
  const { title, ...fields } = edit.fields;
  if (title !== undefined && typeof title !== 'string') return;
  const task = tasks.get(edit.taskId);
  if (task !== undefined && task.changedAt >= edit.at) return;
  const blank = { id: edit.taskId, title: '', description: '', completed: false, text: edit.text };
  const named = title === undefined ? {} : { title };
  const changed = { deleted: edit.operation === 'delete', changedAt: edit.at };
  tasks.set(edit.taskId, { ...(task ?? blank), ...named, ...fields, ...changed });
}

/** The edit as its device writes it down: with its own name and its own clock. */
export function toItem(device: Device, opId: string, edit: Edit): RecordedItem {
  const updatedAt = new Date(edit.at + clockErrorsMs[device]).toISOString();
  const data = { id: edit.taskId, ...edit.fields, updated_at: updatedAt };
  return { client_id: device, op_id: opId, operation: edit.operation, data };
}
