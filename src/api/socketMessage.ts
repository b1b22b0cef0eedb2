// What a client sends over a WebSocket: one JSON object a message, in UTF-8, and the ref that its answers carry.
import type { RawData } from 'ws';
import { ApiError } from '../errors.js';
import { decodeUtf8 } from './decoding.js';
import { invalidRequest } from './request.js';

const REF_MAX_BYTES = 1_024;

/** The object in a message, text or binary. @returns also how long its text is @throws ApiError invalid_json */
export function parseMessage(data: RawData): { message: object; chars: number } {
  const text = decodeUtf8(bytesOf(data), 'message');
  try {
    const message: unknown = JSON.parse(text);
    if (typeof message === 'object' && message !== null) return { message, chars: text.length };
  } catch {
    // Not JSON: the same answer as for JSON that is no object.
  }
  throw new ApiError('invalid_json', 'A message must be one JSON object.');
}

/** ws checks the text of text messages, and closes with 1007; what is binary it hands over as it came. */
function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}

/** What the client calls its push: any JSON value, which comes back as it is. @throws ApiError invalid_request */
export function readRef(message: object): unknown {
  const ref: unknown = 'ref' in message ? message.ref : undefined;
  if (ref === undefined || isEchoed(ref)) return ref;
  throw invalidRequest([
    { field: 'ref', message: `ref must be at most ${REF_MAX_BYTES} bytes of JSON without numbers beyond 1.8e308` },
  ]);
}

/** Whether a value becomes the same JSON again, and is not too long. Walks with its own stack: depth cannot overflow the caller's. */
function isEchoed(value: unknown): boolean {
  const waiting: unknown[] = [value];
  for (let seen = 0; waiting.length > 0; seen += 1) {
    const next = waiting.pop();
    if (seen > REF_MAX_BYTES || (typeof next === 'number' && !Number.isFinite(next))) return false;
    if (typeof next === 'object' && next !== null) for (const inner of Object.values(next)) waiting.push(inner);
  }
  return Buffer.byteLength(JSON.stringify(value)) <= REF_MAX_BYTES;
}
