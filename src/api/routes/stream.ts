// GET /api/sync/stream: the change feed as Server-Sent Events. Every change carries the cursor before it and the cursor it leads to, so a
// client continues where it was, and notices a loss instead of trusting.
import { once } from 'node:events';
import { createSession, type Session } from 'better-sse';
import { type RequestHandler, type Response, Router } from 'express';
import Joi from 'joi';
import { ApiError } from '../../errors.js';
import { describeError } from '../../logger.js';
import type { BatchProgress } from '../../storage/readBatch.js';
import { fromMicros } from '../../sync/timestamp.js';
import type { ApiDeps } from '../deps.js';
import { cursorOf, type Feed, openFeed } from '../feed.js';
import { route } from '../middleware/methods.js';
import { requestIdOf } from '../middleware/requestContext.js';
import { presentTask } from '../present.js';
import { readQuery, workspaceOf } from '../request.js';
import type { Tail } from '../tails.js';
import { abortOnEnd } from '../waiting.js';

const HEARTBEAT_MS = 15_000;
/** A client that takes nothing for this long is told to start over, and let go. */
const STUCK_AFTER_MS = 15_000;
/** Batch events that wait for a slow client; they are hints, and the newest count. */
const BATCHES_WAITING_MAX = 100;

const streamQuery = Joi.object<{ cursor?: string }>({ cursor: Joi.string().max(256) });

/** The routes of live streams. */
export function streamRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/sync/stream', { get: stream(deps) });
  return router;
}

function stream(deps: ApiDeps): RequestHandler {
  let open = 0;
  return async (request, response) => {
    if (open >= deps.config.streamMax) {
      throw new ApiError(
        'unavailable',
        `This server keeps at most ${deps.config.streamMax} streams open (STREAM_MAX).`,
      );
    }
    open += 1;
    response.once('close', () => {
      open -= 1;
    });
    const cursor = request.get('last-event-id') || readQuery(request, streamQuery).cursor;
    const opened = await openFeed(deps.database, workspaceOf(request), cursor);
    // Without a cursor a stream begins now: who wants what is there already reads the feed first.
    const feed = cursor === undefined ? { ...opened, position: { seq: opened.headSeq, liveUntil: 0 } } : opened;
    // Proxies of the nginx family would hold the events back.
    const headers = { 'X-Accel-Buffering': 'no' };
    const session = await createSession(request, response, { keepAlive: HEARTBEAT_MS, retry: 1_000, headers });
    const hello = { cursor: cursorOf(feed), server_time: fromMicros(deps.clock.nowMicros()) };
    session.push(hello, 'ready', cursorOf(feed));
    try {
      await follow(deps, session, response, feed);
    } catch (error) {
      // The client comes back with its last cursor and loses nothing.
      deps.logger.warn('a stream ended', { requestId: requestIdOf(response), ...describeError(error) });
    }
    response.end();
  };
}

/** Sends changes and batch progress until the client or this process goes. */
async function follow(deps: ApiDeps, session: Session, response: Response, start: Feed): Promise<void> {
  const waiting: BatchProgress[] = [];
  const onBatch = (progress: BatchProgress) => {
    waiting.push(progress);
    if (waiting.length > BATCHES_WAITING_MAX) waiting.shift();
  };
  const ending = abortOnEnd(response, deps.stopping);
  const tail = deps.tails.follow(start.workspaceId, Math.max(start.position.seq, start.headSeq), onBatch);
  try {
    for (let feed = start; !ending.signal.aborted; ) {
      for (const progress of waiting.splice(0)) session.push(presentProgress(progress), 'batch', session.lastId);
      feed = await sendChanges(session, tail, feed);
      if (!(await drained(response, ending.signal))) {
        session.push({ reason: 'too slow', cursor: session.lastId }, 'resync', session.lastId);
        return;
      }
      if (waiting.length === 0) await tail.wait(feed.position.seq, HEARTBEAT_MS, ending.signal);
    }
  } finally {
    tail.release();
    ending.dispose();
  }
}

/** The id of the last event is the cursor that the client holds, and so the one before the next change. */
async function sendChanges(session: Session, tail: Tail, feed: Feed): Promise<Feed> {
  const changes = await tail.after(feed.position.seq, feed.position.liveUntil);
  let current = feed;
  // Nothing but what a bootstrap leaves out: its end is reached, else it would be looked for again and again.
  if (changes.length === 0 && feed.position.seq < feed.position.liveUntil) {
    current = { ...feed, position: { seq: feed.position.liveUntil, liveUntil: 0 } };
  }
  for (const task of changes) {
    const { liveUntil } = current.position;
    current = { ...current, position: { seq: task.seq, liveUntil: task.seq >= liveUntil ? 0 : liveUntil } };
    // A bootstrap that continues as a stream: what was deleted before it began is unknown to the device.
    if (task.deleted && task.seq <= liveUntil) continue;
    const cursor = cursorOf(current);
    session.push({ task: presentTask(task), cursor, prev_cursor: session.lastId }, 'change', cursor);
  }
  return current;
}

/** Waits until the client has taken what was written. @returns false if it does not */
async function drained(response: Response, signal: AbortSignal): Promise<boolean> {
  if (!response.writableNeedDrain) return true;
  const limit = AbortSignal.timeout(STUCK_AFTER_MS);
  const either = AbortSignal.any([limit, signal]);
  try {
    await once(response, 'drain', { signal: either });
    return true;
  } catch {
    return signal.aborted;
  }
}

function presentProgress({ batchId, total, pending }: BatchProgress) {
  const processed = total - pending;
  return {
    batch_id: batchId,
    processed,
    total,
    percent: Math.floor((processed / total) * 100),
    status: pending === 0 ? 'completed' : 'processing',
  };
}
