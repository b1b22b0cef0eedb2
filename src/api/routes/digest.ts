// GET /api/sync/digest: checksums over the live tasks, by which a client verifies its copy. What differs is fetched again with
// GET /api/sync/changes?bucket=N.
import { type RequestHandler, Router } from 'express';
import { type Digest, readDigest } from '../../storage/readDigest.js';
import { fromMicros } from '../../sync/timestamp.js';
import type { ApiDeps } from '../deps.js';
import { cursorsOf, openFeed } from '../feed.js';
import { route } from '../middleware/methods.js';
import { workspaceOf } from '../request.js';

/** Digests that are kept until their workspace changes; 5 KB each. */
const KEPT_MAX = 100;

/** The route of digests. */
export function digestRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/api/sync/digest', { get: digest(deps) });
  return router;
}

const keyOf = (incarnation: string, seq: number) => `${incarnation}.${seq}`;

/** A digest reads every live task: while nothing changes, all who ask share one (I8). */
function digest(deps: ApiDeps): RequestHandler {
  const kept = new Map<string, { key: string; digest: Promise<Digest> }>();

  function readOnce(workspaceId: string, key: string): Promise<Digest> {
    const last = kept.get(workspaceId);
    if (last?.key === key) return last.digest;
    const read = { key, digest: deps.timeLine.follow(() => readDigest(deps.database, workspaceId)) };
    kept.delete(workspaceId);
    kept.set(workspaceId, read);
    const [oldest] = kept.keys();
    if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest);
    const forget = () => {
      if (kept.get(workspaceId) === read) kept.delete(workspaceId);
    };
    // A database that was replaced between the two reads: what was read is true, and not what the key says.
    read.digest.then(({ incarnation, seq }) => {
      if (keyOf(incarnation, seq) !== key) forget();
    }, forget);
    return read.digest;
  }
  deps.timeLine.onChange(() => kept.clear());

  return async (request, response) => {
    const workspaceId = workspaceOf(request);
    const feed = await openFeed(deps, workspaceId, undefined);
    if (request.method === 'HEAD') {
      response.set('Sync-Cursor', cursorsOf(feed.incarnation, workspaceId)(feed.headSeq)).end();
      return;
    }
    const { seq, buckets, incarnation } = await readOnce(workspaceId, keyOf(feed.incarnation, feed.headSeq));
    const cursor = cursorsOf(incarnation, workspaceId)(seq);
    response.set('Sync-Cursor', cursor).json({
      buckets,
      cursor,
      server_time: fromMicros(deps.clock.nowMicros()),
    });
  };
}
