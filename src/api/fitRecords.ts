// The bound of answers that tell of many operations (I8): what became of each is always there; the tasks as the server has them are, as long as they
// fit. Of a task that several operations name, the last of them has it, because that is the one after which a device takes it over; where even
// that is too much, an operation that is sent again brings it (docs/decisions/0024).
import type { presentTask } from './present.js';

export interface WithRecord {
  task_id: string | null;
  resolved_data: ReturnType<typeof presentTask> | null;
  /** The task is not shown here because the answer would be too long. */
  resolved_data_omitted?: true;
  client_id?: string | null;
  op_id?: string | null;
  message?: string;
}

/** JSON writes a control character as six. */
const JSON_BYTES_MAX = 6;
/** Names, numbers, times and what else has a fixed length, of an entry with its task. */
const FIXED_BYTES = 1_200;

/** Takes out of an answer's entries what makes it longer than `limitBytes` of JSON. One that fits stays as it is. */
export function fitRecords(items: readonly WithRecord[], limitBytes: number): void {
  if (bytesAtMost(items) <= limitBytes) return;
  const sizes = sizesOfRecords(items);
  const sizeOf = ({ task_id, resolved_data }: WithRecord) =>
    (resolved_data === null ? undefined : sizes.get(task_id)) ?? 0;
  let room = limitBytes - sum(items, (item) => jsonBytes({ ...item, resolved_data: null }));
  if (sum(items, sizeOf) <= room) return;
  const shown = new Set<string | null>();
  for (const item of [...items].reverse()) {
    if (item.resolved_data === null) continue;
    const size = sizeOf(item);
    // One always fits: whoever sends the others again comes to an end.
    const fits = !shown.has(item.task_id) && (size <= room || shown.size === 0);
    if (fits) {
      shown.add(item.task_id);
      room -= size;
    } else {
      item.resolved_data = null;
      item.resolved_data_omitted = true;
    }
  }
}

/** Quickly, and never too little: nearly all answers are far from the limit. */
function bytesAtMost(items: readonly WithRecord[]): number {
  return sum(items, ({ task_id, client_id, op_id, message, resolved_data: task }) => {
    const texts = lengths(task_id, client_id, op_id, message);
    const ofTask = task === null ? 0 : lengths(task.id, task.title, task.description, task.updated_by, task.op_id);
    return FIXED_BYTES + JSON_BYTES_MAX * (texts + ofTask);
  });
}

function sizesOfRecords(items: readonly WithRecord[]): Map<string | null, number> {
  const sizes = new Map<string | null, number>();
  for (const { task_id, resolved_data } of items) {
    if (resolved_data !== null && !sizes.has(task_id)) sizes.set(task_id, jsonBytes(resolved_data));
  }
  return sizes;
}

const jsonBytes = (value: object) => Buffer.byteLength(JSON.stringify(value)) + 1;
const lengths = (...texts: (string | null | undefined)[]) => sum(texts, (text) => text?.length ?? 0);

function sum<Value>(values: readonly Value[], of: (value: Value) => number): number {
  let total = 0;
  for (const value of values) total += of(value);
  return total;
}
