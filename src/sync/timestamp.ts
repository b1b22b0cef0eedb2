// Timestamps are canonical strings inside: UTC, always six digits, ending in Z. As text they sort like the instants they name,
// so versions compare without parsing and microseconds survive (a JavaScript Date would cut them to milliseconds).

const ISO_8601 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:([Zz])|([+-])(\d{2})(?::?(\d{2}))?)?$/;

/** 0001-01-01 and the end of 9999: what four digits of year can hold, so that text order stays time order. */
const MIN_MS = -62_135_596_800_000;
const MAX_MS = 253_402_300_799_999;

/**
 * Parses ISO 8601 with any offset (none means UTC) and up to nine fractional digits, of which six are kept.
 * @returns the canonical string, or undefined for anything else: 'infinity', a date without a time, February 30th.
 */
export function parseTimestamp(text: string): string | undefined {
  return parseUtc(text) ?? parseAny(text);
}

const UTC = /^\d{4}-(?:0\d|1[0-2])-([0-3]\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.(\d{1,9}))?Z$/;

/** The form that most clients send, without a Date (1.5 us of 2). Days that not every month has are left to the other. */
function parseUtc(text: string): string | undefined {
  const match = UTC.exec(text);
  if (match === null) return undefined;
  const [, day = '', fraction = ''] = match;
  if (day < '01' || day > '28' || text.startsWith('0000') || text.startsWith('00', 5)) return undefined;
  return `${text.slice(0, 19)}.${fraction.padEnd(6, '0').slice(0, 6)}Z`;
}

function parseAny(text: string): string | undefined {
  const match = ISO_8601.exec(text);
  if (match === null) return undefined;
  const [
    ,
    year,
    month,
    day,
    hour,
    minute,
    second = '00',
    fraction = '',
    ,
    sign,
    offsetHours = '0',
    offsetMinutes = '0',
  ] = match;
  const local = new Date(0);
  local.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  local.setUTCHours(Number(hour), Number(minute), Number(second), 0);
  const rolledOver =
    local.getUTCMonth() !== Number(month) - 1 ||
    local.getUTCDate() !== Number(day) ||
    local.getUTCHours() !== Number(hour) ||
    local.getUTCMinutes() !== Number(minute);
  if (rolledOver || Number(second) > 59 || Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return undefined;
  const offsetMs = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000 * (sign === '-' ? -1 : 1);
  const utcMs = local.getTime() - offsetMs;
  if (utcMs < MIN_MS || utcMs > MAX_MS) return undefined;
  return `${secondsText(utcMs)}.${fraction.padEnd(6, '0').slice(0, 6)}Z`;
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
