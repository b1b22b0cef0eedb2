import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalFromPostgres } from '../../src/storage/timestampColumn.js';
import { fromMicros, isClockReading, parseTimestamp, toMicros } from '../../src/sync/timestamp.js';

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
    ['2026-01-31T10:30:00.1234567890123Z', '2026-01-31T10:30:00.123456Z'],
    ['2026-01-31T10:30:00.9999999999999999999999999999999999999999Z', '2026-01-31T10:30:00.999999Z'],
    ['2026-01-31T10:30:00,25+01:00', '2026-01-31T09:30:00.250000Z'],
    ['20190211T154011Z', '2019-02-11T15:40:11.000000Z'],
    ['20190211T154011.5+0100', '2019-02-11T14:40:11.500000Z'],
    ['20190211T1540-05', '2019-02-11T20:40:00.000000Z'],
    ['20190211T154011', '2019-02-11T15:40:11.000000Z'],
    ['20190211T15Z', '2019-02-11T15:00:00.000000Z'],
    ['20190211t154011z', '2019-02-11T15:40:11.000000Z'],
    ['2019-02-11T154011Z', '2019-02-11T15:40:11.000000Z'],
    ['2026-01-31', '2026-01-31T00:00:00.000000Z'],
    ['20260131', '2026-01-31T00:00:00.000000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000000Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000000Z'],
    ['2016-12-31T23:59:60.75Z', '2017-01-01T00:00:00.750000Z'],
    ['2017-01-01T01:59:60+02:00', '2017-01-01T00:00:00.000000Z'],
    ['20161231T235960Z', '2017-01-01T00:00:00.000000Z'],
    ['2026-01-31T10:30:60Z', '2026-01-31T10:31:00.000000Z'],
    ['2026-01-31T24:00:00Z', '2026-02-01T00:00:00.000000Z'],
    ['2026-12-31T24:00', '2027-01-01T00:00:00.000000Z'],
    ['2026-01-31T10:30:00-00:00', '2026-01-31T10:30:00.000000Z'],
    ['2026-01-31T10:30:00+01', '2026-01-31T09:30:00.000000Z'],
    ['2026-01-31T10:30:00\u221205:00', '2026-01-31T15:30:00.000000Z'],
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
    '2026-02-29T00:00:00Z',
    '2026-02-29',
    '20260229',
    '2026-00-10',
    '2026-01-00',
    '2026-01',
    '2026',
    '2026-W05-6',
    '2026W056T103000Z',
    '2026-031',
    '2026031',
    '2026-0131',
    '202601-31',
    '2026-1-31T10:30:00Z',
    '26-01-31T10:30:00Z',
    '2026-01-31Z',
    '2026-01-31T',
    '2026-01-31T10:30:00.Z',
    '2026-01-31T10:30.5Z',
    '2026-01-31T24:00:00.000001Z',
    '2026-01-31T24:00:01Z',
    '2026-01-31T24:01Z',
    '2026-01-31T10:30:61Z',
    '2026-01-31  10:30:00Z',
    ' 2026-01-31T10:30:00Z',
    '2026-01-31T10:30:00Z\n',
    '2026-01-31T10:30:00 +01:00',
    '2026-01-31T10:30:00+01:00[Europe/Paris]',
    '2026-01-31T10:30:00+1:00',
    '2026-01-31T10:30:00+01:60',
    '-2026-01-31T10:30:00Z',
    '+002026-01-31T10:30:00Z',
    '0000-06-01T10:30:00Z',
    '9999-12-31T23:59:60Z',
    '9999-12-31T24:00:00Z',
    'NaN',
    '٢٠٢٦-٠١-٣١',
    '2026-13-01T00:00:00Z',
    '2026-01-31T10:60:00Z',
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

  const upTo = (max: number, digits: number) =>
    fc.integer({ min: 0, max }).map((value) => ({ value, text: String(value).padStart(digits, '0') }));

  it('are read in every form as an arithmetic of its own reads them', () => {
    const form = fc.record({
      year: fc.integer({ min: 2, max: 9998 }).map((value) => ({ value, text: String(value).padStart(4, '0') })),
      month: upTo(11, 2).map(({ value }) => ({ value: value + 1, text: String(value + 1).padStart(2, '0') })),
      day: upTo(30, 2).map(({ value }) => ({ value: value + 1, text: String(value + 1).padStart(2, '0') })),
      hour: upTo(23, 2),
      minute: upTo(59, 2),
      second: upTo(60, 2),
      fraction: fc.option(fc.stringMatching(/^\d{1,40}$/), { nil: undefined }),
      offset: fc.option(fc.record({ sign: fc.constantFrom(1, -1), hours: upTo(23, 2), minutes: upTo(59, 2) }), {
        nil: undefined,
      }),
      dash: fc.constantFrom('-', ''),
      between: fc.constantFrom('T', 't', ' '),
      colon: fc.constantFrom(':', ''),
      offsetColon: fc.constantFrom(':', ''),
      point: fc.constantFrom('.', ','),
      utc: fc.constantFrom('', 'Z', 'z'),
    });
    fc.assert(
      fc.property(form, (given) => {
        const { year, month, day, hour, minute, second, fraction, offset, dash, between, colon } = given;
        const clock = [hour.text, minute.text, second.text].join(colon);
        const zone =
          offset === undefined
            ? given.utc
            : `${offset.sign === 1 ? '+' : '-'}${offset.hours.text}${given.offsetColon}${offset.minutes.text}`;
        const date = [year.text, month.text, day.text].join(dash);
        const digits = fraction === undefined ? '' : `${given.point}${fraction}`;
        const read = parseTimestamp(`${date}${between}${clock}${digits}${zone}`);
        if (day.value > daysIn(year.value, month.value)) {
          expect(read).to.equal(undefined);
          return;
        }
        const minutes = offset === undefined ? 0 : offset.sign * (offset.hours.value * 60 + offset.minutes.value);
        const seconds =
          BigInt(daysSince1970(year.value, month.value, day.value)) * 86_400n +
          BigInt(hour.value * 3_600 + minute.value * 60 + second.value - minutes * 60);
        const micros = seconds * 1_000_000n + BigInt((fraction ?? '').slice(0, 6).padEnd(6, '0'));
        expect(toMicros(read ?? '')).to.equal(micros);
        expect(parseTimestamp(date)).to.equal(`${year.text}-${month.text}-${day.text}T00:00:00.000000Z`);
      }),
      { numRuns: 2_000 },
    );
  });

  it('of a clock are none where the hour or the minute is missing', () => {
    for (const reading of ['2026-01-31T10:30:00Z', '20260131T103000Z', '2026-01-31 10:30']) {
      expect(isClockReading(reading), reading).to.equal(true);
    }
    for (const none of ['2026-01-31', '20260131', '2026-01-31T10Z', '2026-01-31T10+01:00']) {
      expect(isClockReading(none), none).to.equal(false);
    }
  });

  it("are read from PostgreSQL's text with or without a fraction", () => {
    expect(canonicalFromPostgres('2026-01-31 10:30:00+00')).to.equal('2026-01-31T10:30:00.000000Z');
    expect(canonicalFromPostgres('2026-01-31 10:30:00.1234+00')).to.equal('2026-01-31T10:30:00.123400Z');
    expect(canonicalFromPostgres('2026-01-31 10:30:00.000001+00')).to.equal('2026-01-31T10:30:00.000001Z');
  });
});

function daysIn(year: number, month: number): number {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
}

/** Counted year by year and month by month. */
function daysSince1970(year: number, month: number, day: number): number {
  const leapsBefore = (before: number) => Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  let days = (year - 1970) * 365 + leapsBefore(year - 1) - leapsBefore(1969) + day - 1;
  for (let each = 1; each < month; each += 1) days += daysIn(year, each);
  return days;
}
