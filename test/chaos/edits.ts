// What the users of chaos devices do: creates, updates and deletes, colliding on shared tasks, some made offline long before they are sent.
import type { OperationKind } from '../../src/sync/merge.js';
import { fromMicros } from '../../src/sync/timestamp.js';
import type { SentItem } from '../support/oracle.js';

export interface EditorOptions {
  name: string;
  random: () => number;
  /** How many tasks all devices edit together. */
  sharedTasks: number;
  /** How far the device's clock is ahead, in ms. */
  skewMs: number;
}

const OWN_TASKS = 30;
const HOUR_MS = 3_600_000;

/** @returns makes the device's next edit; `knows` says which tasks it has seen */
export function createEditor({ name, random, sharedTasks, skewMs }: EditorOptions) {
  let count = 0;
  const upTo = (limit: number) => Math.floor(random() * limit);
  return function edit(knows: (id: string) => boolean): SentItem {
    const id = random() < 0.6 ? `shared-${upTo(sharedTasks)}` : `${name}-${upTo(OWN_TASKS)}`;
    const operation = pickKind(knows(id), random());
    count += 1;
    const title = operation === 'create' || random() < 0.6 ? { title: `${name} ${count}` } : {};
    const description = random() < 0.2 ? { description: random() < 0.3 ? null : `About ${count}` } : {};
    const completed = random() < 0.4 ? { completed: random() < 0.5 } : {};
    const fields = operation === 'delete' ? {} : { ...title, ...description, ...completed };
    const lag = random();
    const offlineMs = lag < 0.5 ? 0 : lag < 0.75 ? upTo(10_000) : lag < 0.95 ? upTo(HOUR_MS) : upTo(48 * HOUR_MS);
    // Some ms back: a time that the server has not reached yet would be corrected, which is not the point of most scenarios.
    const micros = BigInt(Date.now() + skewMs - 20 - offlineMs) * 1_000n + BigInt(upTo(1_000));
    const data = { id, ...fields, updated_at: fromMicros(micros) };
    return { client_id: name, op_id: `${name}-${count}`, operation, data };
  };
}

/** Mostly what makes sense; sometimes an edit of what is not there, or a create of what is. */
function pickKind(isKnown: boolean, chance: number): OperationKind {
  if (!isKnown) return chance < 0.85 ? 'create' : chance < 0.95 ? 'update' : 'delete';
  if (chance < 0.12) return 'delete';
  return chance < 0.3 ? 'create' : 'update';
}
