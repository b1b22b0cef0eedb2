// How sentences for people are worded: times, lengths of time, and what users wrote. Pure text in, text out.

/** Longer texts are cut: a sentence must stay one that is read at a glance. */
const QUOTE_MAX_CHARS = 60;

/** A user's text on one line in quotes. */
export function quote(text: string): string {
  const chars = [...text.replaceAll(/\s+/g, ' ').trim()];
  return chars.length <= QUOTE_MAX_CHARS
    ? `'${chars.join('')}'`
    : `'${chars
        .slice(0, QUOTE_MAX_CHARS - 1)
        .join('')
        .trimEnd()}…'`;
}

/** A length of time in its natural unit; the sign does not count. */
export function describeDuration(durationMs: number): string {
  const seconds = Math.abs(durationMs) / 1_000;
  if (seconds < 1) return 'less than 1 s';
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 120 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3_600) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** Where a canonical timestamp ends when it is told to the minute, the second, the microsecond. */
const PRECISIONS = [16, 19, 26];

/**
 * Words for the times of one sentence, in UTC: `at 10:25`, and `on 2026-01-30 at 10:25` as soon as one of them lies on another day than
 * the others or than `now`. Two times that differ are told so exactly that they differ in words.
 * @param times all that the sentence names, canonical
 */
export function tellTimes(times: readonly string[], now: string): (time: string) => string {
  const hasOneDay = new Set([...times, now].map((time) => time.slice(0, 10))).size === 1;
  const distinct = [...new Set(times)];
  const differ = (end: number) => new Set(distinct.map((time) => time.slice(0, end))).size === distinct.length;
  const end = PRECISIONS.find(differ);
  return (time) => {
    const clock = `at ${time.slice(11, end)}`;
    return hasOneDay ? clock : `on ${time.slice(0, 10)} ${clock}`;
  };
}
