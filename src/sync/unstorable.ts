// What PostgreSQL cannot keep as it was sent: NUL characters and lone surrogates (it refuses the first and changes the second, so
// that client and server would differ for ever), and nesting so deep that a parser's stack ends.
import type { InvalidItem } from './operation.js';

/** A task is flat; this leaves room for what apps put beside it, and is far below where any parser complains (about 6,000). */
const MAX_DEPTH = 32;
const PATH_MAX_CHARS = 200;

/** Finds the first unstorable thing in a JSON value. */
export function findUnstorable(root: unknown): InvalidItem | undefined {
  return isStorable(root, 0) ? undefined : searchUnstorable(root);
}

/** The quick look at what is nearly always in order; the search with its paths costs ten times as much. */
function isStorable(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\u0000');
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MAX_DEPTH) return false;
  return (
    Object.keys(value).every((key) => isStorable(key, depth)) &&
    Object.values(value).every((inner) => isStorable(inner, depth + 1))
  );
}

/** Walks with its own stack, so that depth cannot overflow the caller's. */
function searchUnstorable(root: unknown): InvalidItem | undefined {
  const stack: { value: unknown; path: string; depth: number }[] = [{ value: root, path: '', depth: 0 }];
  for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
    const { value, path, depth } = entry;
    if (typeof value === 'string') {
      const message = describeText(value);
      if (message !== undefined) return { field: path || 'item', message: `${path || 'the item'} ${message}` };
    } else if (typeof value === 'object' && value !== null) {
      if (depth >= MAX_DEPTH) return { field: 'data', message: `the item is nested deeper than ${MAX_DEPTH} levels` };
      for (const [key, inner] of Object.entries(value)) {
        const message = describeText(key);
        if (message !== undefined)
          return { field: path || 'item', message: `a key in ${path || 'the item'} ${message}` };
        stack.push({ value: inner, path: join(path, key), depth: depth + 1 });
      }
    }
  }
  return undefined;
}

/** A path is shown and kept: what somebody made a megabyte long is cut. */
function join(path: string, key: string): string {
  const whole = path === '' ? key : `${path}.${key}`;
  return whole.length <= PATH_MAX_CHARS ? whole : `${whole.slice(0, PATH_MAX_CHARS - 3).toWellFormed()}...`;
}

function describeText(text: string): string | undefined {
  if (text.includes('\u0000')) return 'contains a NUL character, which cannot be stored';
  if (!text.isWellFormed()) return 'contains half of a surrogate pair, which is not valid Unicode';
  return undefined;
}
