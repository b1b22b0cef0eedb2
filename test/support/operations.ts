// What devices send: items of a batch, each valid unless a test spoils it.
import { randomUUID } from 'node:crypto';

export interface Item {
  client_id: string;
  op_id: string;
  operation: 'create' | 'update' | 'delete';
  data: Record<string, unknown>;
}

/** An id that no other test uses. */
export function newId(label: string): string {
  return `${label}-${randomUUID()}`;
}

/** @param beside what stands beside `data`: another client_id or op_id */
export function createItem(id: string, data: Record<string, unknown> = {}, beside: Partial<Item> = {}): Item {
  return makeItem('create', { id, title: `Title of ${id}`, ...data }, beside);
}

export function updateItem(id: string, data: Record<string, unknown>, beside: Partial<Item> = {}): Item {
  return makeItem('update', { id, ...data }, beside);
}

export function deleteItem(id: string, data: Record<string, unknown> = {}, beside: Partial<Item> = {}): Item {
  return makeItem('delete', { id, ...data }, beside);
}

function makeItem(operation: Item['operation'], data: Item['data'], beside: Partial<Item>): Item {
  return { client_id: 'phone', op_id: newId('op'), operation, data, ...beside };
}

/** An instant as the API writes it, from any ISO text of at most milliseconds. */
export function canonical(text: string): string {
  return new Date(text).toISOString().replace('Z', '000Z');
}

/** The items in another order, the same one each time for the same seed. */
export function shuffle<Value>(values: readonly Value[], seed: number): Value[] {
  const shuffled = [...values];
  let state = seed;
  for (let index = shuffled.length - 1; index > 0; index -= 1) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const other = state % (index + 1);
    const [a, b] = [shuffled[index], shuffled[other]];
    if (a !== undefined && b !== undefined) [shuffled[index], shuffled[other]] = [b, a];
  }
  return shuffled;
}
