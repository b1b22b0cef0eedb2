// Sends one batch to the server and follows it until every operation is settled.
// Whatever goes wrong becomes a DemoProblem: one sentence for the person at the terminal.
import { setTimeout as sleep } from 'node:timers/promises';
import Joi from 'joi';
import type { BatchRequest } from './recording.js';

/** One request may wait for the server's own limits; nobody waits longer than this. */
const REQUEST_TIMEOUT_MS = 60_000;
/** How long a batch that was answered 202 is followed. */
const SETTLE_TIMEOUT_MS = 60_000;
/** Limits for Retry-After, whatever the server asks for. */
const RETRY_AFTER_MS = { least: 100, most: 5_000, absent: 500 };

/** A problem that one sentence explains; it is shown without a stack trace. */
export class DemoProblem extends Error {
  override name = 'DemoProblem';
}

/** What the server said about one operation. */
export interface AnsweredItem {
  index: number;
  status: string;
  duplicate?: boolean;
  message?: string;
  resolved_data?: { title: string; deleted?: boolean; updated_at: string; updated_by: string } | null;
}

export interface BatchAnswer {
  status: 'completed' | 'processing';
  processed_items: AnsweredItem[];
  clock?: { skew_ms: number | null };
}

const resolvedSchema = Joi.object({
  title: Joi.string().required(),
  deleted: Joi.boolean(),
  updated_at: Joi.string().required(),
  updated_by: Joi.string().required(),
}).unknown();

const answerSchema = Joi.object({
  status: Joi.valid('completed', 'processing').required(),
  processed_items: Joi.array()
    .items(
      Joi.object({
        index: Joi.number().required(),
        status: Joi.string().required(),
        duplicate: Joi.boolean(),
        message: Joi.string().allow('', null),
        resolved_data: resolvedSchema.allow(null),
      }).unknown(),
    )
    .required(),
  clock: Joi.object({ skew_ms: Joi.number().allow(null).required() }).unknown(),
})
  .unknown()
  .required();

/**
 * Sends the batch and waits for its outcomes.
 * @throws DemoProblem when the server is away, refuses the batch, or does not settle it in time.
 */
export async function sendBatch(baseUrl: string, batch: BatchRequest): Promise<BatchAnswer> {
  const body = JSON.stringify(batch);
  const headers = { 'content-type': 'application/json' };
  // Not from the root: the server may be behind a path of a proxy.
  const address = new URL('api/sync/batch', baseUrl.replace(/\/?$/, '/'));
  let response = await request(address, { method: 'POST', headers, body });
  const first = await readAnswer(response);
  let answer = first;
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  const location = response.headers.get('location');
  while (answer.status === 'processing' && location !== null) {
    if (performance.now() > deadline) {
      throw new DemoProblem(
        `The server took a batch but did not settle it within ${SETTLE_TIMEOUT_MS / 1000} s. Is a worker running? (\`npm start\` starts one, \`npm run start:worker\` another.)`,
      );
    }
    await sleep(retryAfterMs(response.headers.get('retry-after')));
    response = await request(new URL(location, address), {});
    answer = await readAnswer(response);
  }
  // What the clock was off by is known when the batch arrives; later answers need not repeat it.
  return first.clock && !answer.clock ? { ...answer, clock: first.clock } : answer;
}

/** How long to wait before asking again: the Retry-After header in seconds, within limits. */
export function retryAfterMs(header: string | null): number {
  const asked = header === null ? Number.NaN : Number(header) * 1000;
  if (Number.isNaN(asked)) return RETRY_AFTER_MS.absent;
  return Math.min(Math.max(asked, RETRY_AFTER_MS.least), RETRY_AFTER_MS.most);
}

/** @throws DemoProblem when there is no answer */
export async function request(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError') {
      throw new DemoProblem(`${url.origin} did not answer within ${REQUEST_TIMEOUT_MS / 1000} s.`);
    }
    const cause = causeOf(error);
    if (['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(cause)) {
      throw new DemoProblem(
        `The connection to ${url.origin} broke (${cause}): the server stopped while it was answering. Once it is back, run \`npm run demo\` again.`,
      );
    }
    throw new DemoProblem(
      `No server answers at ${url.origin} (${cause}). Start one with \`npm start\` in another terminal, then run \`npm run demo\` again; \`npm run demo -- --url http://host:port\` goes elsewhere.`,
    );
  }
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof Error ? cause.message : error.message;
}

/** The JSON of an answer. @throws DemoProblem with what the server said, when it refused */
export async function readJson(response: Response): Promise<unknown> {
  const body = parseJson(await response.text());
  if (!response.ok) {
    const { value: problem } = Joi.object({ detail: Joi.string().required() }).unknown().validate(body);
    const detail = typeof problem?.detail === 'string' ? problem.detail : 'It gives no reason; is it Task Sync?';
    throw new DemoProblem(`The server at ${new URL(response.url).origin} answered ${response.status}: ${detail}`);
  }
  return body;
}

async function readAnswer(response: Response): Promise<BatchAnswer> {
  const body = await readJson(response);
  const { error, value } = answerSchema.validate(body);
  if (error) {
    const { origin } = new URL(response.url);
    throw new DemoProblem(`What ${origin} answers is not a batch's answer (${error.message}). Is it Task Sync?`);
  }
  const answer: BatchAnswer = value;
  return answer;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
