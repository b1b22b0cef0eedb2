// Bytes become text in one way, as UTF-8, and what is not UTF-8 is refused before anything is decoded: a decoder that puts U+FFFD in its place
// makes one text of two, and one task of two ids.
import { isUtf8 } from 'node:buffer';
import { ApiError } from '../errors.js';

const UTF_8 = /^utf-?8$/i;
/** A body or message that says nothing else is UTF-8 (RFC 8259, 8.1). A byte order mark is left out, as the RFC allows. */
const decoder = new TextDecoder('utf-8', { fatal: true });

/** The text of a message. @throws ApiError invalid_json */
export function decodeUtf8(bytes: Uint8Array, what: string): string {
  requireUtf8(bytes, what);
  return decoder.decode(bytes);
}

/** Holds a body, decompressed and not decoded yet, against UTF-8. @throws ApiError invalid_json, unsupported_encoding */
export function requireUtf8Body(bytes: Uint8Array, charset: string): void {
  if (!UTF_8.test(charset)) throw unreadCharset(charset);
  requireUtf8(bytes, 'body');
}

/** A 415 for a charset that is not UTF-8. */
export function unreadCharset(charset: string): ApiError {
  return new ApiError('unsupported_encoding', `The body is said to be in ${charset}; JSON is read in UTF-8 only.`);
}

function requireUtf8(bytes: Uint8Array, what: string): void {
  if (isUtf8(bytes)) return;
  const at = findInvalid(bytes);
  const byte = (bytes[at] ?? 0).toString(16).padStart(2, '0');
  throw new ApiError(
    'invalid_json',
    `The ${what} is not UTF-8: at byte ${at} (0x${byte}) there is no valid character. Text in another encoding has to be converted before it is sent.`,
  );
}

/** Where the first character begins that is none. Halves what is left each time: the whole is looked at about twice. */
function findInvalid(bytes: Uint8Array): number {
  let from = 0;
  for (let to = bytes.length; to - from > 8; ) {
    let middle = from + Math.floor((to - from) / 2);
    // To the beginning of the character that stands there.
    for (let back = 0; back < 3 && isContinuation(bytes[middle]); back += 1) middle -= 1;
    if (middle <= from) break;
    if (isUtf8(bytes.subarray(from, middle))) from = middle;
    else to = middle;
  }
  for (;;) {
    const length = [1, 2, 3, 4].find((count) => isUtf8(bytes.subarray(from, from + count)));
    if (length === undefined || from >= bytes.length) return from;
    from += length;
  }
}

const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;
