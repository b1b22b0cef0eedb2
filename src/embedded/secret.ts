// Passwords of the embedded servers: random, made once, readable by their owner alone, never in a process list or a log.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

/** 192 random bits in characters that need no escaping in a URL. */
export function makeSecret(): string {
  return randomBytes(24).toString('base64url');
}

/** Replaces a file that only its owner may read, at once and completely. */
export function writePrivateFile(file: string, content: string): void {
  const temporary = `${file}.new`;
  writeFileSync(temporary, content, { mode: 0o600, flush: true });
  renameSync(temporary, file);
}

/** The secret kept in a file, which is made on first use. */
export function readOrMakeSecret(file: string): string {
  if (!existsSync(file)) writePrivateFile(file, `${makeSecret()}\n`);
  return readFileSync(file, 'utf8').trim();
}
