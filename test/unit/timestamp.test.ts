import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalFromPostgres } from '../../src/storage/timestampColumn.js';
import { fromMicros, parseTimestamp, toMicros } from '../../src/sync/timestamp.js';

describe('timestamps', () => {
  const readable: [given: string, canonical: string][] = [
    ['2026-01-31T10:30:00Z', '2026-01-31T10:30:00.000000Z'],
    ['2026-01-31T10:30:00.5Z', '2026-01-31T10:30:00.500000Z'],
    ['2026-01-31T10:30:00.123Z', '2026-01-31T10:30:00.123000Z'],
    ['2026-01-31T10:30:00.123456Z', '2026-01-31T10:30:00.123456Z'],
    ['2026-01-31T10:30:00.123456789Z', '2026-01-31T10:30:00.123456Z'],
    ['2026-01-31T10:30:00', '2026-01-31T10:30:00.000000Z'],
    ['2026-01-31 10:30:00.25', '2026-01-31T10:30:00.250000Z'],
    ['2026-01-31T10:30Z', '2026-01-31T10:30:00.000000Z'],
    ['2026-01-31T10:30:00+02:00', '2026-01-31T08:30:00.000000Z'],
    ['2026-01-31T10:30:00.000001+0530', '2026-01-31T05:00:00.000001Z'],
    ['2026-01-01T00:30:00-05', '2026-01-01T05:30:00.000000Z'],
    ['2024-02-29T23:59:59.999999+00:00', '2024-02-29T23:59:59.999999Z'],
    ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
  ];
  for (const [given, canonical] of readable) {
    it(`reads ${given}`, () => expect(parseTimestamp(given)).to.equal(canonical));
  }

  const refused = [
    '',
    'infinity',
    '-infinity',
    'now',
    'yesterday',
    '2026-01-31',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-31T24:00:00Z',
    '2026-01-31T10:60:00Z',
    '2026-01-31T10:30:60Z',
    '2026-01-31T10:30:00+24:00',
    '0001-01-01T00:00:00+01:00',
    '9999-12-31T23:59:59-01:00',
    '12026-01-31T10:30:00Z',
    '2026-01-31T10:30:00Zz',
    '1767225600',
  ];
  for (const given of refused)
    it(`refuses ${given || 'nothing'}`, () => expect(parseTimestamp(given)).to.equal(undefined));

  const micros = fc.bigInt({
    min: toMicros('0001-01-01T00:00:00.000000Z'),
    max: toMicros('9999-12-31T23:59:59.999999Z'),
  });

  it('sort as text like the instants they name (I4)', () => {
    fc.assert(
      fc.property(micros, micros, (a, b) => {
        expect(fromMicros(a) < fromMicros(b)).to.equal(a < b);
      }),
    );
  });

  it('keep every microsecond on the way there and back', () => {
    fc.assert(
      fc.property(micros, (value) => {
        expect(toMicros(fromMicros(value))).to.equal(value);
        expect(parseTimestamp(fromMicros(value))).to.equal(fromMicros(value));
      }),
    );
  });

  it('name the same instant at any offset', () => {
    const offsets = fc.integer({ min: -14 * 60, max: 14 * 60 });
    const times = fc.bigInt({
      min: toMicros('1970-01-03T00:00:00.000000Z'),
      max: toMicros('2200-01-01T00:00:00.000000Z'),
    });
    fc.assert(
      fc.property(times, offsets, (value, offsetMinutes) => {
        const local = fromMicros(value + BigInt(offsetMinutes) * 60_000_000n).slice(0, -1);
        const hours = String(Math.floor(Math.abs(offsetMinutes) / 60)).padStart(2, '0');
        const minutes = String(Math.abs(offsetMinutes) % 60).padStart(2, '0');
        expect(parseTimestamp(`${local}${offsetMinutes < 0 ? '-' : '+'}${hours}:${minutes}`)).to.equal(
          fromMicros(value),
        );
      }),
    );
  });

  it("are read from PostgreSQL's text with or without a fraction", () => {
    expect(canonicalFromPostgres('2026-01-31 10:30:00+00')).to.equal('2026-01-31T10:30:00.000000Z');
    expect(canonicalFromPostgres('2026-01-31 10:30:00.1234+00')).to.equal('2026-01-31T10:30:00.123400Z');
    expect(canonicalFromPostgres('2026-01-31 10:30:00.000001+00')).to.equal('2026-01-31T10:30:00.000001Z');
  });
});
