// The compiled check in front of joi: it must agree with the schema that it was made from on every value.
import { expect } from 'chai';
import fc from 'fast-check';
import Joi from 'joi';
import stringify from 'safe-stable-stringify';
import { compileCheck } from '../../src/sync/compileCheck.js';
import { itemSchemas } from '../../src/sync/operation.js';
import { stableJson } from '../../src/sync/stableJson.js';
import { findUnstorable } from '../../src/sync/unstorable.js';

const kinds = ['create', 'update', 'delete'] as const;

/** Values around every limit of the schema, among any others. */
const odd = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    'a',
    '\n',
    '\u2028',
    '.',
    '..',
    '...',
    'x'.repeat(255),
    '🙂'.repeat(255),
    'x'.repeat(256),
    't'.repeat(1_000),
    't'.repeat(1_001),
  ),
  fc.constantFrom('d'.repeat(20_000), 'd'.repeat(20_001), '😀'.repeat(64), '😀'.repeat(65), '\ud800'),
  fc.constantFrom(
    '2026-01-31T10:30:00Z',
    '2026-02-30T10:30:00Z',
    '2026-01-31',
    'infinity',
    '2026-01-31T10:30:00.123456+02:00',
  ),
  fc.constantFrom<unknown>(
    null,
    undefined,
    true,
    false,
    0,
    -0,
    1,
    -1,
    1.5,
    2 ** 53,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    [],
    {},
  ),
  fc.jsonValue(),
);
const text = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'task-1', 'Buy milk') },
  { weight: 1, arbitrary: odd },
);
const time = fc.oneof({ weight: 6, arbitrary: fc.constant('2026-01-31T10:30:00.000Z') }, { weight: 1, arbitrary: odd });
const data = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record(
      {
        id: text,
        title: text,
        description: text,
        completed: fc.oneof(fc.boolean(), odd),
        updated_at: time,
        extra: odd,
      },
      { requiredKeys: ['id', 'title'] },
    ),
  },
  { weight: 1, arbitrary: odd },
);
const item = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record(
      {
        client_id: text,
        op_id: text,
        id: text,
        task_id: text,
        operation: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...kinds) }, { weight: 1, arbitrary: odd }),
        if_seq: fc.oneof(fc.nat(), odd),
        data,
        extra: odd,
      },
      { requiredKeys: ['client_id', 'operation', 'data'] },
    ),
  },
  { weight: 1, arbitrary: odd },
);

describe('the compiled check of an item', () => {
  for (const kind of kinds) {
    it(`agrees with joi on what is a valid ${kind}`, () => {
      const schema = itemSchemas[kind];
      const check = compileCheck(schema);
      const seen = { valid: 0, invalid: 0 };
      fc.assert(
        fc.property(item, (value) => {
          const isValid = schema.validate(value).error === undefined;
          seen[isValid ? 'valid' : 'invalid'] += 1;
          expect(check(value)).to.equal(isValid);
        }),
        { numRuns: 5_000 },
      );
      expect(seen.valid, 'valid ones were among them').to.be.greaterThan(500);
      expect(seen.invalid, 'invalid ones were among them').to.be.greaterThan(500);
    });
  }

  for (const [what, schema] of [
    ['a type', Joi.object({ a: Joi.date() })],
    ['a rule', Joi.object({ a: Joi.string().email() })],
    ['a flag', Joi.object({ a: Joi.string().default('x') })],
    ['forbidden values', Joi.object({ a: Joi.string().invalid('x') })],
    ['a dependency', Joi.object({ a: Joi.string(), b: Joi.string() }).and('a', 'b')],
  ] as const) {
    it(`refuses to compile ${what} that it does not know`, () => {
      const prefs = { convert: false, allowUnknown: true };
      expect(() => compileCheck(schema.prefs(prefs))).to.throw(/not known|cannot be/);
    });
  }

  it('refuses to compile a schema that converts', () => {
    expect(() => compileCheck(Joi.object({ a: Joi.string() }))).to.throw(/convert: false/);
  });
});

describe('key-sorted JSON', () => {
  it('is that of the library, which stored hashes were made with', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null))),
      fc.object(),
    );
    fc.assert(
      fc.property(fc.array(value), (list) => {
        expect(stableJson(list)).to.equal(stringify(list));
      }),
      { numRuns: 3_000 },
    );
  });

  it('writes numbers and odd keys as the library does', () => {
    const list = [
      'create',
      null,
      { b: Number.POSITIVE_INFINITY, a: -0, __proto__x: 1, '10': 'x', '9': 'y', '': true, 'ä"': '\u2028\ud83d\ude00' },
      7,
    ];
    expect(stableJson(list)).to.equal(stringify(list));
  });
});

describe('what cannot be stored', () => {
  const deep = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);
  for (const [what, value, isFound] of [
    ['32 levels', deep(32), false],
    ['33 levels', deep(33), true],
    ['50,000 levels', deep(50_000), true],
    ['NUL in a key', { a: { 'b\u0000': 1 } }, true],
    ['half a surrogate pair', ['\ud800'], true],
    ['a whole pair', { '😀': ['😀'] }, false],
  ] as const) {
    it(`finds ${what}: ${isFound}`, () => expect(findUnstorable(value) !== undefined).to.equal(isFound));
  }
});
