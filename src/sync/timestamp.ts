// Timestamps are canonical strings inside: UTC, always six digits, ending in Z. As text they sort like the instants they name,
// so versions compare without parsing and microseconds survive (a JavaScript Date would cut them to milliseconds).

/** What the error about a time asks for. */
export const EXPECTED_TIME =
  'an ISO 8601 date and time like 2026-01-31T10:30:00.000Z or 20260131T103000+0100, or a date alone, of the years 0001 to 9999';

/** Extended or basic, with what ISO 8601 and RFC 3339 let vary. Weeks, days of the year and shortened dates are not read. */
const DATE = String.raw`(?<year>\d{4})(?:-(?<month>\d\d)-(?<day>\d\d)|(?<basicMonth>\d\d)(?<basicDay>\d\d))`;
const TIME = String.raw`(?<hour>\d\d)(?::?(?<minute>\d\d)(?::?(?<second>\d\d)(?:[.,](?<fraction>\d+))?)?)?`;
const OFFSET = String.raw`(?:[Zz]|(?<sign>[+\-\u2212])(?<offsetHours>\d\d)(?::?(?<offsetMinutes>\d\d))?)`;
const ISO_8601 = new RegExp(`^${DATE}(?:[Tt ]${TIME}${OFFSET}?)?$`);

/** 0001-01-01 and the end of 9999: what four digits of year can hold, so that text order stays time order. */
const MIN_MS = -62_135_596_800_000;
const MAX_MS = 253_402_300_799_999;

/**
 * Parses ISO 8601 with any offset (none means UTC); of the fraction's digits six are kept. A date alone is its midnight. The second 60, in
 * whatever minute, is the next minute's first one, as POSIX counts leap seconds; 24:00 is the next day's midnight.
 * @returns the canonical string, or undefined for anything else: 'infinity', a week, February 30th.
 */
export function parseTimestamp(text: string): string | undefined {
  return parseUtc(text) ?? parseAny(text);
}

const UTC = /^\d{4}-(?:0\d|1[0-2])-([0-3]\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.(\d+))?Z$/;

/** The form that most clients send, without a Date (1.5 us of 2). Days that not every month has are left to the other. */
function parseUtc(text: string): string | undefined {
  const match = UTC.exec(text);
  if (match === null) return undefined;
  const [, day = '', fraction = ''] = match;
  if (day < '01' || day > '28' || text.startsWith('0000') || text.startsWith('00', 5)) return undefined;
  return `${text.slice(0, 19)}.${fraction.padEnd(6, '0').slice(0, 6)}Z`;
}

function parseAny(text: string): string | undefined {
  const parts = ISO_8601.exec(text)?.groups;
  if (parts === undefined) return undefined;
  const number = (part: string | undefined) => Number(part ?? 0);
  const month = number(parts.month ?? parts.basicMonth);
  const day = number(parts.day ?? parts.basicDay);
  const [hour, minute, second] = [number(parts.hour), number(parts.minute), number(parts.second)];
  const fraction = (parts.fraction ?? '').padEnd(6, '0').slice(0, 6);
  const [offsetHours, offsetMinutes] = [number(parts.offsetHours), number(parts.offsetMinutes)];
  const local = new Date(0);
  local.setUTCFullYear(number(parts.year), month - 1, day);
  if (local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day) return undefined;
  if (minute > 59 || second > 60 || offsetHours > 23 || offsetMinutes > 59) return undefined;
  const isMidnight = hour === 24 && minute === 0 && second === 0 && !/[1-9]/.test(parts.fraction ?? '');
  if (hour > 23 && !isMidnight) return undefined;
  const offsetMs =
    (offsetHours * 60 + offsetMinutes) * 60_000 * (parts.sign === undefined || parts.sign === '+' ? 1 : -1);
  const utcMs = local.getTime() + ((hour * 60 + minute) * 60 + second) * 1_000 - offsetMs;
  return utcMs < MIN_MS || utcMs > MAX_MS ? undefined : `${secondsText(utcMs)}.${fraction}Z`;
}

/** Whether a text that parses can be what a clock shows: a date or an hour alone would be taken for hours of difference. */
export function isClockReading(text: string): boolean {
  return /[Tt ]\d\d:?\d\d/.test(text);
}

/** Microseconds since 1970 of a canonical timestamp; a bigint, because the year 9999 does not fit a double. */
export function toMicros(canonical: string): bigint {
  const seconds = BigInt(Date.parse(`${canonical.slice(0, 19)}Z`)) * 1000n;
  return seconds + BigInt(canonical.slice(20, 26));
}

/** The canonical timestamp of a count of microseconds since 1970, kept within the years 0001 to 9999. */
export function fromMicros(micros: bigint): string {
  const bounded = clamp(micros, BigInt(MIN_MS) * 1000n, BigInt(MAX_MS) * 1000n + 999n);
  const fraction = ((bounded % 1_000_000n) + 1_000_000n) % 1_000_000n;
  return `${secondsText(Number((bounded - fraction) / 1000n))}.${fraction.toString().padStart(6, '0')}Z`;
}

function secondsText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19);
}

function clamp(value: bigint, min: bigint, max: bigint): bigint {
  if (value < min) return min;
  return value > max ? max : value;
}
