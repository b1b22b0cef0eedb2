// GET /api/sync/changes: what changed since a cursor, as a page, as a long poll, or as a stream of lines.
import { type RequestHandler, type Response, Router } from 'express';
import Joi from 'joi';
import { ApiError } from '../../errors.js';
import { DIGEST_BUCKETS } from '../../storage/readDigest.js';
import { fromMicros } from '../../sync/timestamp.js';
import type { ApiDeps } from '../deps.js';
import { cursorOf, type Feed, type FeedPage, openFeed, readFeedPage, requireCurrentFeed } from '../feed.js';
import { route } from '../middleware/methods.js';
import { readQuery } from '../query.js';
import { invalidRequest, workspaceOf } from '../request.js';
import { abortOnEnd } from '../waiting.js';

const PAGE_DEFAULT = 500;
const PAGE_MAX = 5_000;
const WAIT_MAX_S = 30;
const LINES = 'application/x-ndjson';
/** Changes that a stream of lines reads at once: the server holds two such pages in memory for it. */
const LINES_FORM = { limit: 250, maxBytes: 1_048_576, separator: '\n', terminator: '\n' };

export const changesQuery = Joi.object<{ cursor?: string; limit: number; wait: number; bucket?: number }>({
  cursor: Joi.string().max(256),
  limit: Joi.number().integer().min(1).max(PAGE_MAX).default(PAGE_DEFAULT),
  wait: Joi.number().min(0).max(WAIT_MAX_S).default(0),
  bucket: Joi.number()
    .integer()
    .min(0)
    .max(DIGEST_BUCKETS - 1),
});

/** The routes of the change feed. */
export function changeRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/sync/changes', { get: changes(deps) }, { get: changesQuery });
  return router;
}

const changes =
  (deps: ApiDeps): RequestHandler =>
  async (request, response) => {
    const { cursor, limit, wait, bucket } = readQuery(request, changesQuery);
    if (bucket !== undefined && wait > 0) {
      throw invalidRequest([{ field: 'wait', message: 'wait is for the whole feed; leave it out with bucket' }]);
    }
    const workspaceId = workspaceOf(request);
    const feed = await openFeed(deps, workspaceId, cursor, bucket);
    response.vary('Accept');
    const isHead = request.method === 'HEAD';
    if (request.accepts(['application/json', LINES]) === LINES) {
      if (isHead) return void response.type(LINES).end();
      return sendLines(deps, response, feed);
    }
    const page = await readOrWait(deps, response, feed, limit, isHead ? 0 : wait * 1_000);
    response.set('Sync-Cursor', cursorOf(page.next));
    await deps.answers.sendPage(response, pageJson(page, deps.clock.nowMicros()));
  };

/** {changes, cursor, has_more, server_time}; the changes are JSON already. */
function pageJson({ bytes, hasMore, next }: FeedPage, nowMicros: bigint): Buffer {
  const rest = JSON.stringify({ cursor: cursorOf(next), has_more: hasMore, server_time: fromMicros(nowMicros) });
  return Buffer.concat([Buffer.from('{"changes":['), bytes, Buffer.from(`],${rest.slice(1)}`)]);
}

/** A page; an empty one only after waiting `waitMs` for a change, or when the client or this process goes. */
async function readOrWait(deps: ApiDeps, response: Response, feed: Feed, limit: number, waitMs: number) {
  const deadline = performance.now() + waitMs;
  const form = { limit, maxBytes: deps.config.responseLimitBytes, separator: ',', terminator: '' };
  let page = await readFeedPage(deps.readPage, feed, form);
  if (page.count > 0 || waitMs === 0) return page;
  const ending = abortOnEnd(response, deps.stopping);
  const isEmpty = () => page.count === 0 && !ending.signal.aborted && performance.now() < deadline;
  let release = () => {};
  const watch = deps.levels.seqs.watch(feed.workspaceId, page.next.position.seq + 1);
  try {
    release = deps.streams.open('poll');
    // Looked at again when the watch has begun: a change in between is in the page or rings.
    page = await readFeedPage(deps.readPage, page.next, form);
    while (isEmpty()) {
      await watch.next(deadline - performance.now(), ending.signal);
      page = await readFeedPage(deps.readPage, page.next, form);
    }
    return page;
  } finally {
    watch.end();
    release();
    ending.dispose();
  }
}

/** Streams the feed to its end, one change a line, the cursor last; the client's pace sets ours. */
async function sendLines(deps: ApiDeps, response: Response, start: Feed) {
  const release = deps.streams.open('lines');
  const ending = abortOnEnd(response, deps.stopping);
  try {
    // Before anything is sent: what keeps the feed from being continued is an answer then.
    const first = await readFeedPage(deps.readPage, start, LINES_FORM);
    response.type(LINES);
    for await (const lines of readLines(deps, first)) {
      if (ending.signal.aborted) response.destroy();
      if (!(await deps.answers.write(response, lines))) return;
    }
    response.end();
  } catch (error) {
    // The client or this process went, or the feed cannot be continued: an answer without its last line, the cursor, is not complete.
    const isCut = ending.signal.aborted || (error instanceof ApiError && response.headersSent);
    if (!isCut) throw error;
    response.destroy();
  } finally {
    release();
    ending.dispose();
  }
}

/**
 * A page is read while the client takes the one before: two are in memory, whatever the feed holds.
 * @throws ApiError cursor_expired when the feed cannot be continued: then the last line is missing
 */
async function* readLines(deps: ApiDeps, first: FeedPage): AsyncGenerator<Buffer, void> {
  const read = (feed: Feed) => {
    const reading = readFeedPage(deps.readPage, feed, LINES_FORM);
    // Seen when it is waited for; where the client has gone nobody does.
    reading.catch(() => undefined);
    return reading;
  };
  let page = first;
  for (;;) {
    const reading = page.hasMore ? read(page.next) : undefined;
    requireCurrentFeed(deps.timeLine, page.next);
    if (page.count > 0) yield page.bytes;
    if (reading === undefined) break;
    page = await reading;
  }
  requireCurrentFeed(deps.timeLine, page.next);
  yield Buffer.from(`${JSON.stringify({ cursor: cursorOf(page.next) })}\n`);
}
