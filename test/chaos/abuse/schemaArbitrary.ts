// From a joi schema to values that it takes, nearly takes, and does not take: read out of schema.describe(), so that what is checked and
// what is fuzzed cannot part.
import fc from 'fast-check';
import type Joi from 'joi';
import { hostileValue } from './hostileJson.js';

/** Real values by the name of a field: ids that exist, cursors that were given. */
export type Pools = Record<string, readonly string[]>;

/** One field in so many is hostile: more would hardly ever get past the first check. */
const HOSTILE_SHARE = 8;

/** Values for a schema. @param name of the field, to find its pool */
export function arbitraryOf(schema: Joi.Description, pools: Pools, name = ''): fc.Arbitrary<unknown> {
  const decent = decentValue(schema, pools, name);
  return fc.oneof({ weight: HOSTILE_SHARE, arbitrary: decent }, { weight: 1, arbitrary: hostileValue });
}

function decentValue(schema: Joi.Description, pools: Pools, name: string): fc.Arbitrary<unknown> {
  const allowed: unknown[] = Array.isArray(schema.allow) ? schema.allow : [];
  if (Object(schema.flags).only === true) return fc.constantFrom(...allowed);
  const typed = typedValue(schema, pools, name);
  return allowed.length === 0
    ? typed
    : fc.oneof({ weight: 5, arbitrary: typed }, { weight: 1, arbitrary: fc.constantFrom(...allowed) });
}

function typedValue(schema: Joi.Description, pools: Pools, name: string): fc.Arbitrary<unknown> {
  const limit = (rule: string) => {
    const found = (schema.rules ?? []).find((each: { name: string }) => each.name === rule);
    return typeof found?.args?.limit === 'number' ? found.args.limit : undefined;
  };
  if (schema.type === 'object') return objectOf(schema, pools);
  if (schema.type === 'boolean') return fc.boolean();
  if (schema.type === 'number') {
    const min = limit('min') ?? 0;
    const max = Math.min(limit('max') ?? 1_000, 1_000);
    // The limits and what lies just beyond them.
    return fc.oneof(
      fc.integer({ min, max }),
      fc.constantFrom(min - 1, min, limit('max') ?? max, (limit('max') ?? max) + 1),
    );
  }
  if (schema.type === 'string') {
    const max = limit('max') ?? 255;
    const lengths = fc.constantFrom(max - 1, max, max + 1).map((length) => 'y'.repeat(length));
    const pool = pools[name] ?? [];
    const known = pool.length === 0 ? [] : [{ weight: 12, arbitrary: fc.constantFrom(...pool) }];
    return fc.oneof(
      ...known,
      { weight: 4, arbitrary: fc.string({ minLength: 1, maxLength: 20 }) },
      { weight: 1, arbitrary: lengths },
    );
  }
  return hostileValue;
}

function objectOf(schema: Joi.Description, pools: Pools): fc.Arbitrary<unknown> {
  const keys: [string, Joi.Description][] = Object.entries(Object(schema.keys));
  const fields = Object.fromEntries(keys.map(([key, inner]) => [key, arbitraryOf(inner, pools, key)]));
  const required = keys.filter(([, inner]) => Object(inner.flags).presence === 'required').map(([key]) => key);
  // Something that nobody knows beside what is known: it has to be ignored.
  const unknown = fc.dictionary(
    fc.constantFrom('workspace_id', 'seq', 'server_id', 'extra', 'sync_status'),
    hostileValue,
    {
      maxKeys: 2,
    },
  );
  const known = fc.oneof(
    { weight: 9, arbitrary: fc.record(fields, { requiredKeys: required }) },
    { weight: 1, arbitrary: fc.record(fields, { requiredKeys: [] }) },
  );
  return fc.oneof(
    { weight: 4, arbitrary: known },
    { weight: 1, arbitrary: fc.tuple(known, unknown).map(([a, b]) => ({ ...b, ...a })) },
  );
}
