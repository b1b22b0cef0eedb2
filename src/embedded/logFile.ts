// The children's logs: one file each, followed so that warnings and errors reach the terminal as one readable line, and kept from growing
// without end (I8).
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { basename } from 'node:path';

const LIMIT_BYTES = 10 * 1024 * 1024;
const POLL_MS = 250;
const CHUNK_BYTES = 256 * 1024;
/** More at once would only scroll away what came before; the file has them all. */
const LINES_A_POLL = 5;
/** The time and process id before a line of PostgreSQL. */
const POSTGRES_PREFIX = /^\d{4}-\d{2}-\d{2} [\d:.]+ \w+ \[\d+\] /;
/** Of a winston line: what every line has, and what is shown in another place. */
const KNOWN_FIELDS = new Set(['level', 'message', 'timestamp', 'process', 'pid', 'stack', 'allClear']);

/** Starts a new file if the last one is over the limit, keeping one old one. */
export function rotateLog(file: string): void {
  if (existsSync(file) && statSync(file).size > LIMIT_BYTES) renameSync(file, `${file}.old`);
}

/**
 * Hands on each complete new line of a growing file, and empties the file when it is over the limit (its content is kept as `.old`).
 * @returns the end of it, which reads what is left.
 */
export function followLog(file: string, onLines: (lines: string[]) => void): () => void {
  let position = existsSync(file) ? statSync(file).size : 0;
  let partial = '';
  const poll = () => {
    const { text, size } = readFrom(file, position);
    position = size;
    const lines = (partial + text).split('\n');
    partial = lines.pop() ?? '';
    if (lines.length > 0) onLines(lines);
    if (position > LIMIT_BYTES) {
      // The child keeps its file open for appending, so the file is emptied in place. A line written in between is lost from the log.
      copyFileSync(file, `${file}.old`);
      truncateSync(file);
      position = 0;
    }
  };
  const timer = setInterval(poll, POLL_MS);
  return () => {
    clearInterval(timer);
    poll();
  };
}

/** The warnings, errors and all-clears among JSON log lines, readable; at most a few of them, and how many more there are. */
export function describeTrouble(lines: string[], file: string): string[] {
  const described = lines.map((line) => describeLine(line)).filter((line) => line !== undefined);
  const shown = described.slice(0, LINES_A_POLL);
  const more = described.length - shown.length;
  return more === 0 ? shown : [...shown, `... and ${more} more lines in ${basename(file)}`];
}

/** `12:03:44 worker warn: a sentence (key=value)`, or undefined for a line that is not for the terminal. */
export function describeLine(line: string): string | undefined {
  const entry = parseEntry(line);
  if (entry === undefined) return undefined;
  if (entry.level !== 'warn' && entry.level !== 'error' && entry.allClear !== true) return undefined;
  const time = typeof entry.timestamp === 'string' ? `${new Date(entry.timestamp).toTimeString().slice(0, 8)} ` : '';
  const details = Object.entries(entry)
    .filter(([name, value]) => !KNOWN_FIELDS.has(name) && value !== null && typeof value !== 'object')
    .map(([name, value]) => `${name}=${value}`);
  const message = String(entry.message).replaceAll(/\s+/g, ' ');
  return `${time}${entry.process ?? ''} ${entry.level}: ${message}${details.length > 0 ? ` (${details.join(', ')})` : ''}`;
}

/**
 * Remembers where a log ends now; later, what was written since says why a program ended: the last line about an error, or
 * just the last line.
 */
export function listenForLastWords(file: string): () => string {
  const from = existsSync(file) ? statSync(file).size : 0;
  return () => {
    const lines = readFrom(file, from)
      .text.split('\n')
      .map((line) => line.replace(POSTGRES_PREFIX, '').trim())
      .filter((line) => line !== '' && !line.startsWith('at '));
    const line = lines.findLast((each) => /\b(fatal|panic|error)\b/i.test(each)) ?? lines.at(-1);
    return line ?? 'none';
  };
}

function parseEntry(line: string): Record<string, unknown> | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? { ...entry } : undefined;
  } catch {
    return undefined;
  }
}

function readFrom(file: string, position: number): { text: string; size: number } {
  if (!existsSync(file)) return { text: '', size: 0 };
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    // Shorter than before: somebody emptied it.
    const from = size < position ? 0 : position;
    const buffer = Buffer.alloc(Math.min(size - from, CHUNK_BYTES));
    const length = readSync(descriptor, buffer, 0, buffer.length, from);
    return { text: buffer.toString('utf8', 0, length), size: from + length };
  } finally {
    closeSync(descriptor);
  }
}
