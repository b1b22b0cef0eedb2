// Scenario 24: hostile requests against real processes. Never a 5xx, never a byte of another workspace, nobody left without an answer,
// the processes stay up, and afterwards the data is what the log says.
import { Agent } from 'node:http';
import fc from 'fast-check';
import { ERROR_KINDS } from '../../../src/errors.js';
import { type FuzzRequest, fuzzRequests } from './fuzzRequests.js';
import { hostileMessages, RAW_FRAMES, sendFrames, talk } from './hostileSockets.js';
import { RAW_REQUESTS, sendRaw, statusesOf } from './rawHttp.js';
import type { Route } from './routeTable.js';
import type { Pools } from './schemaArbitrary.js';
import { type FuzzAnswer, sendFuzz } from './sendFuzz.js';

export interface FuzzOptions {
  url: string;
  routes: readonly Route[];
  pools: Pools;
  /** Never to be seen in an answer. */
  canary: string;
  seed: number;
  requests: number;
  messages: number;
  /** How many requests are under way at once. */
  concurrency: number;
}

export interface FuzzReport {
  requests: number;
  messages: number;
  /** How many requests got which status; 0: the connection was closed instead. */
  statuses: Record<number, number>;
  /** What must not be, with what makes it happen again. */
  findings: string[];
}

/** Beyond this a request was left without an answer; a wait of a batch ends after 5 s by itself, longer ones are asked for. */
const ANSWER_LIMIT_MS = 40_000;
/** Streams and long polls answer when there is something to tell. */
const HELD_LIMIT_MS = 300;
const HOLDS = /^\/+api\/sync\/(stream|changes|ws)/i;
const FINDINGS_MAX = 20;
/** What one call of fast-check makes; a number of its own each, so that a finding names a short way to itself. */
const CHUNK = 500;

/** Sends everything; does not throw for what it finds. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const report: FuzzReport = { requests: 0, messages: 0, statuses: {}, findings: [] };
  const find = (what: string) => {
    if (report.findings.length < FINDINGS_MAX) report.findings.push(what);
  };
  await fuzzHttp(options, report, find);
  await fuzzRaw(options, find);
  await fuzzSockets(options, report, find);
  return report;
}

async function fuzzHttp(options: FuzzOptions, report: FuzzReport, find: (what: string) => void) {
  const agent = new Agent({ keepAlive: true, maxSockets: options.concurrency });
  const arbitrary = fuzzRequests(options.routes, options.pools);
  try {
    for (let start = 0; start < options.requests && report.findings.length < FINDINGS_MAX; start += CHUNK) {
      const seed = options.seed + start;
      const numRuns = Math.min(CHUNK, options.requests - start);
      const requests = fc.sample(arbitrary, { seed, numRuns });
      await eachOf(requests, options.concurrency, async (request) => {
        const patienceMs = HOLDS.test(request.path) ? HELD_LIMIT_MS : ANSWER_LIMIT_MS;
        const answer = await sendFuzz(options.url, request, agent, patienceMs);
        report.requests += 1;
        report.statuses[answer.status] = (report.statuses[answer.status] ?? 0) + 1;
        const fault = judge(request, answer, options.canary);
        if (fault !== undefined) find(`${fault}\n  ${describe(request)}\n  <- ${answer.text.slice(0, 600)}`);
      });
    }
  } finally {
    agent.destroy();
  }
}

/** What is wrong with an answer. */
function judge(request: FuzzRequest, answer: FuzzAnswer, canary: string): string | undefined {
  if (answer.text.includes(canary)) return 'a byte of another workspace';
  if (answer.status >= 500) return `status ${answer.status}`;
  if (answer.isHeld && !HOLDS.test(request.path)) return `no answer within ${ANSWER_LIMIT_MS} ms`;
  if (/ECONNREFUSED/.test(answer.error ?? '')) return 'nobody listens any more';
  if (answer.status < 400 || request.method === 'HEAD' || answer.body === '') return undefined;
  return answer.contentType.startsWith('application/problem+json')
    ? judgeProblem(answer)
    : judgeForeign(request, answer);
}

function judgeProblem(answer: FuzzAnswer): string | undefined {
  const problem: unknown = JSON.parse(answer.body);
  const { code, status, detail } = Object(problem);
  const isKnown = typeof code === 'string' && Object.hasOwn(ERROR_KINDS, code);
  if (!isKnown || status !== answer.status || typeof detail !== 'string') return 'a problem that is not as documented';
  return /\n\s+at |node_modules|dist\//.test(answer.body) ? 'a stack trace' : undefined;
}

/** Only Bull Board and Node's own parser answer errors in their own words. */
function judgeForeign(request: FuzzRequest, answer: FuzzAnswer): string | undefined {
  if (/^\/+admin\/queues/i.test(request.path)) {
    return /\n\s+at .*node_modules/.test(answer.body) ? 'a stack trace of the dashboard' : undefined;
  }
  return `an error that is no problem+json (${answer.contentType})`;
}

async function fuzzRaw({ url, canary }: FuzzOptions, find: (what: string) => void) {
  await eachOf(RAW_REQUESTS, 4, async (text) => {
    const received = await sendRaw(url, text, 5_000);
    const shown = JSON.stringify(text.slice(0, 200));
    if (received.includes(canary)) find(`a byte of another workspace for ${shown}`);
    // 501 and 505 are Node's own words for a protocol that it does not speak.
    const wrong = statusesOf(received).filter((status) => status >= 500 && status !== 501 && status !== 505);
    if (wrong.length > 0) find(`status ${wrong} for ${shown}: ${received.slice(0, 400)}`);
  });
}

async function fuzzSockets(options: FuzzOptions, report: FuzzReport, find: (what: string) => void) {
  const { url, canary, seed } = options;
  const look = (received: string, sent: () => string) => {
    if (received.includes(canary)) find(`a byte of another workspace over a socket for ${sent()}`);
    if (/"status":500\b/.test(received)) find(`a socket answered status 500 for ${sent()}: ${received.slice(-600)}`);
  };
  const perSocket = 20;
  const messages = fc.sample(hostileMessages(options.pools), { seed, numRuns: options.messages });
  const talks = Array.from({ length: Math.ceil(messages.length / perSocket) }, (_, index) =>
    messages.slice(index * perSocket, (index + 1) * perSocket),
  );
  await eachOf(talks, 4, async (part) => {
    const { received, isAnswered } = await talk(url, part);
    report.messages += part.length;
    const sent = () => part.map((each) => each.slice(0, 300)).join('\n  ');
    look(received.join('\n'), sent);
    if (!isAnswered) find(`a message over a socket was not answered, one of:\n  ${sent()}`);
  });
  await eachOf(RAW_FRAMES, 4, async (bytes) => look(await sendFrames(url, bytes, 500), () => bytes.toString('hex')));
}

/** Runs `work` on each, `concurrency` at once. */
async function eachOf<Value>(values: readonly Value[], concurrency: number, work: (value: Value) => Promise<void>) {
  const rest = values.values();
  const lane = async () => {
    for (const value of rest) await work(value);
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
}

function describe({ method, path, headers, body }: FuzzRequest): string {
  const shown =
    body === undefined
      ? ''
      : ` ${body.subarray(0, 1_500).toString()}${body.length > 1_500 ? ` ... ${body.length} bytes` : ''}`;
  return `${method} ${path.slice(0, 500)} ${JSON.stringify(headers).slice(0, 500)}${shown}`;
}
