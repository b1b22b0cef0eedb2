// The errors people see: one table from code to HTTP status, meaning and advice. docs/protocol.md carries the same table, and a
// test holds the two together.

interface ErrorKind {
  status: number;
  title: string;
  /** Whether the same request may succeed later, unchanged. */
  isRetryable: boolean;
  /** What the reader of the documentation should do. */
  advice: string;
}

export const ERROR_KINDS = {
  invalid_json: {
    status: 400,
    title: 'The body is not valid JSON',
    isRetryable: false,
    advice: 'Send one JSON object with Content-Type: application/json.',
  },
  invalid_request: {
    status: 400,
    title: 'The request is not valid',
    isRetryable: false,
    advice: 'Fix what `errors` names; nothing was changed.',
  },
  unauthorized: {
    status: 401,
    title: 'The admin token is missing or wrong',
    isRetryable: false,
    advice: 'Send ADMIN_TOKEN as bearer token, or as the password of basic auth.',
  },
  host_not_allowed: {
    status: 403,
    title: 'This host name is not served here',
    isRetryable: false,
    advice: 'Use an address of the server; a further name of it belongs in ALLOWED_HOSTS.',
  },
  origin_not_allowed: {
    status: 403,
    title: 'Pages of this origin may not write here',
    isRetryable: false,
    advice: 'Call the API from a page of its own origin, or list the origin in CORS_ORIGIN.',
  },
  not_found: {
    status: 404,
    title: 'There is no such thing here',
    isRetryable: false,
    advice: 'Check the address. A deleted task answers like one that never was.',
  },
  method_not_allowed: {
    status: 405,
    title: 'This address does not know that method',
    isRetryable: false,
    advice: 'Use a method that the Allow header lists.',
  },
  already_exists: {
    status: 409,
    title: 'A task with this id exists',
    isRetryable: false,
    advice: 'Use PUT or PATCH to change it; PATCH {"deleted": false} brings a deleted one back.',
  },
  not_reapplicable: {
    status: 409,
    title: 'This operation did not lose, so there is nothing to write again',
    isRetryable: false,
    advice:
      'Only a settled operation with the status `conflict`, or with `merged`, can be written again; GET /api/sync/operations/:id says what became of it.',
  },
  not_failed: {
    status: 409,
    title: 'This operation has not failed',
    isRetryable: false,
    advice:
      'Only a failed operation can be tried again or discarded: one that is pending will be applied, one that is settled stays as it is.',
  },
  cursor_expired: {
    status: 410,
    title: 'The feed cannot be continued from this cursor',
    isRetryable: false,
    advice:
      'Bootstrap: read the feed without a cursor to its end, then replace the local records by what it listed, keeping edits that were not pushed yet.',
  },
  precondition_failed: {
    status: 412,
    title: 'The task is not as If-Match or If-None-Match asks',
    isRetryable: false,
    advice: 'Read the task again, look at what changed, and send your change with the new ETag.',
  },
  request_timeout: {
    status: 408,
    title: 'The request did not come in time',
    isRetryable: true,
    advice:
      'Wait as Retry-After says, then send the same again, in smaller batches where the line is slow: nothing of it was stored.',
  },
  too_large: {
    status: 413,
    title: 'The request is too large',
    isRetryable: false,
    advice:
      'Send smaller batches; `limits` says what may be. An operation that is alone in its batch is too large itself and will never be taken: shorten it, or give it up and go back to the task as the server has it.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers of the request are too large',
    isRetryable: false,
    advice: 'Send fewer and shorter headers.',
  },
  upgrade_required: {
    status: 426,
    title: 'This address is that of a WebSocket',
    isRetryable: false,
    advice:
      'Connect with a WebSocket client; a proxy in between must speak HTTP/1.1 and pass on Upgrade and Connection.',
  },
  too_many_pending: {
    status: 429,
    title: 'Too many operations of this workspace wait to be applied',
    isRetryable: true,
    advice: 'Wait as Retry-After says, then send the same again: nothing of it was stored.',
  },
  too_many_attempts: {
    status: 429,
    title: 'Too many wrong admin tokens came from this address',
    isRetryable: true,
    advice: 'Wait as Retry-After says, then send the right one.',
  },
  unsupported_encoding: {
    status: 415,
    title: 'The body is encoded in a way this server does not read',
    isRetryable: false,
    advice: 'Send UTF-8, uncompressed or with gzip, deflate or br.',
  },
  internal: {
    status: 500,
    title: 'Something unforeseen went wrong on the server',
    isRetryable: true,
    advice: 'Send it again later; operators find the request_id in the log.',
  },
  overloaded: {
    status: 503,
    title: 'The server has more to do than it can take on',
    isRetryable: true,
    advice: 'Wait as Retry-After says, then send the same again: nothing was done for this request.',
  },
  unavailable: {
    status: 503,
    title: 'The server cannot answer just now',
    isRetryable: true,
    advice:
      'Wait as Retry-After says, then send the same again: an operation that was stored already is not stored twice.',
  },
} satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

/** The shortest and longest Retry-After, in seconds; between them it is random, so that clients do not all return at once. */
const RETRY_AFTER_S: Partial<Record<ErrorCode, readonly [from: number, to: number]>> = {
  too_many_pending: [5, 15],
  overloaded: [1, 5],
  request_timeout: [1, 5],
  too_many_attempts: [1, 1],
  unavailable: [1, 3],
};

/**
 * After how many seconds a request that failed this way should be sent again; undefined where waiting does not help.
 * @param random a number in [0, 1), injected
 */
export function retryAfterS(code: ErrorCode, random: number): number | undefined {
  const range = RETRY_AFTER_S[code];
  return range === undefined ? undefined : range[0] + Math.floor(random * (range[1] - range[0] + 1));
}

export interface FieldError {
  field: string;
  message: string;
}

/** A failure with a code from the table; `detail` says what happened in this very case. */
export class ApiError extends Error {
  override name = 'ApiError';
  constructor(
    readonly code: ErrorCode,
    readonly detail: string,
    readonly extra: {
      errors?: FieldError[];
      /** What would have been allowed, under the names of `limits` at GET /. */
      limits?: Record<string, number>;
      headers?: Record<string, string>;
      cause?: unknown;
    } = {},
  ) {
    super(detail, { cause: extra.cause });
  }
}

/**
 * The body of application/problem+json (RFC 9457); `error` repeats `detail` for clients that look for one string.
 * @param retryAfter seconds, for those who see no headers
 */
export function describeProblem({ code, detail, extra }: ApiError, requestId: string, retryAfter?: number) {
  const { status, title } = ERROR_KINDS[code];
  return {
    type: `urn:task-sync:error:${code}`,
    title,
    status,
    code,
    detail,
    error: detail,
    request_id: requestId,
    ...(retryAfter === undefined ? {} : { retry_after_s: retryAfter }),
    ...(extra.errors === undefined ? {} : { errors: extra.errors }),
    ...(extra.limits === undefined ? {} : { limits: extra.limits }),
  };
}
