// JSON that means harm: texts that no serializer would write (numbers beyond a double, duplicate keys, halves of surrogate pairs) among
// values that are only unexpected.
import fc from 'fast-check';

/** A piece of JSON text that is written as it is. */
export class RawJson {
  constructor(readonly text: string) {}
}

const raw = (text: string) => new RawJson(text);

/** Beyond what Node parses without complaint and PostgreSQL would take (54001 at about 6,000). */
const DEEP = 40_000;
const TEXTS = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ufeff',
  '\u2028\u2029',
  '\u202e',
  '😀',
  'e\u0301',
  'infinity',
  '-infinity',
  'NaN',
  'now',
  '0000-00-00T00:00:00Z',
  '-000001-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999999Z',
  '+275760-09-13T00:00:00.000Z',
  '2026-02-30T25:61:61Z',
  '2026-01-01T00:00:00+99:99',
  "'; DROP TABLE tasks; --",
  '$1',
  '%s%n',
  '../../../../etc/passwd',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'true',
  'create',
  'x'.repeat(129),
  'x'.repeat(1_001),
  'x'.repeat(20_001),
  'é'.repeat(20_000),
];
const RAW_TEXTS = [
  '1e400',
  '-1e400',
  '1e-400',
  '-0',
  '9007199254740993',
  '-9223372036854775809',
  '0.1e-17',
  '"\\ud800"',
  '"a\\udc00b"',
  '"\\u0000"',
  '{"__proto__":{"title":"polluted","isAdmin":true}}',
  '{"constructor":{"prototype":{"title":"polluted"}}}',
  '{"id":"a","id":"b","title":"one","title":"two"}',
  '{"toJSON":1,"valueOf":null,"toString":{}}',
  `${'['.repeat(33)}${']'.repeat(33)}`,
];

/** One hostile value. */
export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...TEXTS),
  fc.constantFrom(...RAW_TEXTS.map(raw)),
  fc.constantFrom(null, true, false, 0, -1, 1.5, 2 ** 31, 2 ** 53, [], {}, [[]], ['a', 'b'], [null], { $ne: null }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.jsonValue({ maxDepth: 3 }),
);

/** Whole bodies that are wrong from their first byte on. */
export const hostileBody: fc.Arbitrary<string> = fc.constantFrom(
  '',
  ' ',
  'null',
  '[]',
  '{}',
  '0',
  '"text"',
  'undefined',
  '{',
  '{"items":[',
  "{'items':[]}",
  '{"items":[]}}',
  '\ufeff{"items":[]}',
  '{"items":{"length":1,"0":{}}}',
  '{"items":"[]"}',
  '{"items":[null,1,"a",[],{}]}',
  '{"__proto__":{"items":[{}]}}',
  '{"items":[{"__proto__":{"client_id":"a","operation":"delete"}}]}',
  '{"title":"one","title":{"a":1}}',
  `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`,
  `{"items":[{"client_id":"a","operation":"create","data":{"title":"deep","x":${'['.repeat(DEEP)}${']'.repeat(DEEP)}}}]}`,
  `{"title":"deep","x":${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}}`,
  `{"items":[${'{},'.repeat(1_500)}{}]}`,
  `{"title":"${'x'.repeat(1_100_000)}"}`,
);

/** JSON text of a value; RawJson inside of it as it is, and what is undefined left out. */
export function writeJson(value: unknown): string {
  if (value instanceof RawJson) return value.text;
  if (Array.isArray(value)) return `[${value.map(writeJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const parts = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${parts.map(([key, inner]) => `${JSON.stringify(key)}:${writeJson(inner)}`).join(',')}}`;
}
