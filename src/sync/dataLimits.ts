// What an operation may carry beside the fields that the server knows (I8). It is kept, so it has a bound of its own, apart from that of a request.
import type { InvalidItem } from './operation.js';

/** The same for every operation, as an app has to know it when it is written. */
export const DATA_LIMITS = { data_fields: 64, data_bytes: 16_384 } as const;

/** Bounded by their own rules. */
const BOUNDED = ['id', 'title', 'description', 'completed'];

/** Finds that data has too many fields of its own, or too long ones; JSON that a parser has made, so no number is infinite. */
export function findOversized(data: Record<string, unknown>): InvalidItem | undefined {
  let fields = 0;
  let bytes = 0;
  for (const [name, value] of Object.entries(data)) {
    if (BOUNDED.includes(name)) continue;
    bytes += jsonBytes(name) + jsonBytes(value) + 2;
    if (name !== 'updated_at') fields += 1;
  }
  const { data_fields: fieldsMax, data_bytes: bytesMax } = DATA_LIMITS;
  if (fields > fieldsMax) {
    return refusal(`data has ${fields} fields beside those of a task; ${fieldsMax} are kept at most`);
  }
  if (bytes > bytesMax) {
    return refusal(`what data has beside the fields of a task takes ${bytes} bytes; ${bytesMax} are kept at most`);
  }
  return undefined;
}

const refusal = (message: string) => ({ field: 'data', message });
const jsonBytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value) ?? '');
