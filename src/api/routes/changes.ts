// GET /api/sync/changes: what changed since a cursor, as a page, as a long poll, or as a stream of lines.
import { pipeline } from 'node:stream/promises';
import { type RequestHandler, type Response, Router } from 'express';
import Joi from 'joi';
import { DIGEST_BUCKETS } from '../../storage/readDigest.js';
import { fromMicros } from '../../sync/timestamp.js';
import type { ApiDeps } from '../deps.js';
import { cursorOf, type Feed, type FeedPage, openFeed, readFeedPage } from '../feed.js';
import { route } from '../middleware/methods.js';
import { invalidRequest, readQuery, workspaceOf } from '../request.js';
import { abortOnEnd } from '../waiting.js';

const PAGE_DEFAULT = 500;
const PAGE_MAX = 5_000;
const WAIT_MAX_S = 30;
const LINES = 'application/x-ndjson';
/** Changes that a stream of lines reads at once: the server holds two such pages in memory for it. */
const LINES_FORM = { limit: 250, separator: '\n', terminator: '\n' };

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
  route(router, '/api/sync/changes', { get: changes(deps) });
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
    const feed = await openFeed(deps.database, workspaceId, cursor, bucket);
    response.vary('Accept');
    if (request.accepts(['application/json', LINES]) === LINES) return sendLines(deps, response, feed);
    const page = await readOrWait(deps, response, feed, limit, wait * 1_000);
    response.set('Sync-Cursor', cursorOf(page.next)).type('json').send(pageJson(page, deps.clock.nowMicros()));
  };

/** {changes, cursor, has_more, server_time}; the changes are JSON already. */
function pageJson({ bytes, hasMore, next }: FeedPage, nowMicros: bigint): Buffer {
  const rest = JSON.stringify({ cursor: cursorOf(next), has_more: hasMore, server_time: fromMicros(nowMicros) });
  return Buffer.concat([Buffer.from('{"changes":['), bytes, Buffer.from(`],${rest.slice(1)}`)]);
}

/** A page; an empty one only after waiting `waitMs` for a change, or when the client or this process goes. */
async function readOrWait(deps: ApiDeps, response: Response, feed: Feed, limit: number, waitMs: number) {
  const ending = abortOnEnd(response, deps.stopping);
  const deadline = performance.now() + waitMs;
  const form = { limit, separator: ',', terminator: '' };
  let page = await readFeedPage(deps.readPage, feed, form);
  try {
    while (page.count === 0 && !ending.signal.aborted) {
      const remainingMs = deadline - performance.now();
      if (remainingMs <= 0) break;
      const watch = deps.levels.seqs.watch(feed.workspaceId, page.next.position.seq + 1);
      try {
        // Looked at after the watch began: a change in between is in the page or rings.
        page = await readFeedPage(deps.readPage, page.next, form);
        if (page.count === 0) {
          await watch.next(remainingMs, ending.signal);
          page = await readFeedPage(deps.readPage, page.next, form);
        }
      } finally {
        watch.end();
      }
    }
    return page;
  } finally {
    ending.dispose();
  }
}

/** Streams the feed to its end, one change a line, the cursor last; the client's pace sets ours. */
async function sendLines(deps: ApiDeps, response: Response, start: Feed) {
  response.type(LINES);
  const ending = abortOnEnd(response, deps.stopping);
  try {
    await pipeline(readLines(deps, start), response, { signal: ending.signal });
  } catch (error) {
    // The client or this process went: an answer without its last line, the cursor, is not complete.
    if (!ending.signal.aborted) throw error;
  } finally {
    ending.dispose();
  }
}

/** A page is read while the client takes the one before: two are in memory, whatever the feed holds. */
async function* readLines(deps: ApiDeps, start: Feed) {
  const read = (feed: Feed) => {
    const reading = readFeedPage(deps.readPage, feed, LINES_FORM);
    // Seen when it is waited for; where the client has gone nobody does.
    reading.catch(() => undefined);
    return reading;
  };
  for (let reading = read(start), hasMore = true; hasMore; ) {
    const page = await reading;
    hasMore = page.hasMore;
    if (hasMore) reading = read(page.next);
    if (page.count > 0) yield page.bytes;
    if (!hasMore) yield Buffer.from(`${JSON.stringify({ cursor: cursorOf(page.next) })}\n`);
  }
}
