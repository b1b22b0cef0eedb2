// A problem as the text of a whole HTTP answer, for connections that have no response to give it with: refused upgrades, and requests that
// are none.
import { type OutgoingHttpHeaders, STATUS_CODES } from 'node:http';
import { type ApiError, describeProblem, ERROR_KINDS } from '../errors.js';

/**
 * The answer, after which the connection is to be closed.
 * @param retryAfter seconds
 * @param begun headers of an answer that was begun, named in lower case
 */
export function problemText(
  error: ApiError,
  requestId: string,
  retryAfter: number | undefined,
  begun: OutgoingHttpHeaders = {},
): string {
  const { status } = ERROR_KINDS[error.code];
  const body = JSON.stringify(describeProblem(error, requestId, retryAfter));
  const headers = {
    ...begun,
    ...error.extra.headers,
    'x-request-id': requestId,
    'content-type': 'application/problem+json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
    connection: 'close',
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`;
}
