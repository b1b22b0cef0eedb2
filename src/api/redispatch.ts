// Putting stored operations back in line: they are dispatched again, waited for like a batch, and answered one by one.
import type { Response } from 'express';
import { QueueUnavailable } from '../queue/producer.js';
import { readOperationsById } from '../storage/readBatch.js';
import type { ApiDeps } from './deps.js';
import { fitRecords } from './fitRecords.js';
import { presentOutcome } from './present.js';
import { abortOnEnd, waitUntil } from './waiting.js';

export interface Redispatch {
  workspaceId: string;
  /** Pending operations, oldest first. */
  ids: number[];
  /** Others that became due with them, which nobody waits for. */
  released: number[];
  waitMs: number;
  /** What the dashboard shows as the reason of their job. */
  reason: string;
}

/** Dispatches operations and waits until they are settled or the time is over. @returns what became of each, oldest first */
export async function redispatch(deps: ApiDeps, response: Response, request: Redispatch) {
  const { workspaceId, ids, released, waitMs, reason } = request;
  const ending = abortOnEnd(response, deps.stopping);
  const place = deps.admission.waiting.take(waitMs);
  const watch = deps.levels.settled.watch(workspaceId, ids.at(-1) ?? 0);
  try {
    await dispatchAgain(deps, { workspaceId, ids: [...ids, ...released], reason });
    const readItems = () => readOperationsById(deps.database, workspaceId, ids);
    const items = await waitUntil(readItems, (found) => found.every((item) => item.status !== 'pending'), {
      watch,
      isNew: ids.length > 0,
      ...place,
      signal: ending.signal,
    });
    const records = await deps.readOutcomes(workspaceId, { keys: items, taskIds: [] });
    const results = items.map((item) => ({ sync_item_id: item.id, ...presentOutcome(item, records) }));
    fitRecords(results, deps.config.responseLimitBytes);
    return results;
  } finally {
    place.release();
    watch.end();
    ending.dispose();
  }
}

/** Dispatches operations that are due, in any order. */
export async function dispatchAgain(
  deps: Pick<ApiDeps, 'producer' | 'logger'>,
  { workspaceId, ids, reason }: Pick<Redispatch, 'workspaceId' | 'ids' | 'reason'>,
) {
  if (ids.length === 0) return;
  const job = { workspaceId, count: ids.length, ...rangeOf(ids), reason };
  try {
    await deps.producer.enqueue([job]);
  } catch (error) {
    if (!(error instanceof QueueUnavailable)) throw error;
    deps.logger.debug('the operations that are tried again wait for the reconciler', { ...job });
  }
}

function rangeOf(ids: number[]) {
  const sorted = ids.toSorted((a, b) => a - b);
  return { firstId: sorted[0] ?? 0, lastId: sorted.at(-1) ?? 0 };
}
