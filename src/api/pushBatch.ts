// What a pushed batch goes through, whichever way it came: it is read, stored, dispatched, waited for, and answered operation by
// operation. What is answered is committed (I1); what is sent again is found again (I2).
import { ApiError } from '../errors.js';
import { jobsOfBatch } from '../queue/jobs.js';
import { QueueUnavailable } from '../queue/producer.js';
import type { BatchEntry } from '../storage/models/syncBatch.js';
import { findBatch, type StoredBatch } from '../storage/readBatch.js';
import { type Outcomes, operationKey } from '../storage/readOutcomes.js';
import { fromMicros } from '../sync/timestamp.js';
import type { ApiDeps } from './deps.js';
import { cursorsOf } from './feed.js';
import type { Watch } from './levelWaiter.js';
import { operationOf, presentBatch } from './present.js';
import { type ReceivedBatch, receiveBatch } from './receiveBatch.js';
import { invalidRequest } from './request.js';
import type { ExpectedBatch } from './toldBatches.js';
import { waitUntil } from './waiting.js';

/** An envelope that was read: its items are still to be looked at one by one. */
export interface Envelope {
  items: unknown[];
  clientTimestamp: unknown;
  /** When it arrived, microseconds since 1970. */
  receivedMicros: bigint;
}

/**
 * Reads the envelope of a batch.
 * @throws ApiError for what is no batch at all; what is wrong with single items is answered with each of them
 */
export function readEnvelope(deps: ApiDeps, body: unknown): Envelope {
  const receivedMicros = deps.clock.nowMicros();
  if (typeof body !== 'object' || body === null || !('items' in body) || !Array.isArray(body.items)) {
    const message = 'the body must be a JSON object with an array `items`, sent with Content-Type: application/json';
    throw invalidRequest([{ field: 'items', message }]);
  }
  const items: unknown[] = body.items;
  const { maxItems } = deps.config.sync;
  if (items.length === 0) throw invalidRequest([{ field: 'items', message: 'items is empty: there is nothing to do' }]);
  if (items.length > maxItems) {
    throw new ApiError(
      'too_large',
      `The batch has ${items.length} items; SYNC_MAX_ITEMS allows ${maxItems}. Send several batches.`,
      { limits: { max_items: maxItems } },
    );
  }
  return { items, clientTimestamp: 'client_timestamp' in body ? body.client_timestamp : undefined, receivedMicros };
}

/** A batch that is committed, and how to be told of its end. */
interface Pushed {
  batch: StoredBatch;
  /** The operations that were new. */
  ids: number[];
  watch: Watch;
  /** Where what becomes of the batch is told. */
  expected: ExpectedBatch | undefined;
  /** When its request came, microseconds since 1970. */
  receivedMicros: bigint;
  /** The incarnation of the database that was known before it was stored. */
  knownAs: string;
}

/**
 * Stores and dispatches a batch; on return it is committed.
 * @param waits whether somebody waits for its operations
 * @returns what awaitBatch takes, which must be called
 * @throws the driver's error when the batch could not be stored
 */
export async function storeBatch(
  deps: ApiDeps,
  workspaceId: string,
  batchId: string,
  envelope: Envelope,
  waits: boolean,
): Promise<Pushed> {
  const { items, clientTimestamp, receivedMicros } = envelope;
  const firstMicros = deps.clock.reserve(items.length);
  const received = receiveBatch({ items, clientTimestamp, firstMicros, receivedMicros, newTaskId: deps.newId });
  const { maxRetries } = deps.config.retry;
  const now = fromMicros(receivedMicros);
  const knownAs = deps.timeLine.current();
  const ids = await deps.admission.storeBatch(workspaceId, received.operations.length, () =>
    deps.accept({ workspaceId, batchId, ...received, maxRetries, now }),
  );
  deps.metrics.stored(countItems(received, ids.length));
  const batch = { id: batchId, entries: received.entries, clock: received.clock };
  const watch = deps.levels.settled.watch(workspaceId, ids.at(-1) ?? 0);
  // What was sent before is not applied again, and so not told; nor are the tasks of items that are refused.
  const isTold = ids.length === received.entries.length;
  const expected = waits && isTold ? deps.toldBatches.expect(batch) : undefined;
  try {
    await dispatch(deps, workspaceId, batchId, ids, expected && deps.toldBatches.name);
  } catch (error) {
    watch.end();
    expected?.end();
    throw error;
  }
  return { batch, ids, watch, expected, receivedMicros, knownAs };
}

function countItems({ entries }: ReceivedBatch, accepted: number) {
  const rejected = entries.filter((entry) => 'error' in entry).length;
  // One that stands in the batch twice counts as known the second time.
  return { accepted, duplicate: entries.length - rejected - accepted, rejected };
}

/**
 * Waits for the operations of a stored batch.
 * @param wait how long at most, and what ends it before
 * @returns the body of the answer
 */
export async function awaitBatch(
  deps: ApiDeps,
  workspaceId: string,
  { batch, ids, watch, expected, receivedMicros, knownAs }: Pushed,
  wait: { waitMs: number; signal: AbortSignal },
) {
  const place = deps.admission.waiting.take(wait.waitMs);
  try {
    const read = async () => expected?.told() ?? readOutcomesOf(deps, workspaceId, batch);
    const outcomes = await waitUntil(read, isSettled(batch), { watch, isNew: ids.length > 0, ...wait, ...place });
    requireStored(batch, outcomes, knownAs);
    const body = describeBatch(deps, workspaceId, batch, outcomes);
    deps.metrics.answered(body.status, deps.clock.nowMicros() - receivedMicros);
    return body;
  } finally {
    place.release();
    watch.end();
    expected?.end();
  }
}

/**
 * A stored batch as its answer shows it now; undefined where there is none of that id.
 * @throws ApiError unavailable where the database was replaced meanwhile by one that does not have it
 */
export async function readBatchNow(deps: ApiDeps, workspaceId: string, id: string) {
  const knownAs = deps.timeLine.current();
  const batch = await findBatch(deps.database, workspaceId, id);
  if (batch === undefined) return undefined;
  const outcomes = await readOutcomesOf(deps, workspaceId, batch);
  requireStored(batch, outcomes, knownAs);
  return describeBatch(deps, workspaceId, batch, outcomes);
}

/**
 * A failover to a standby that lags, or a restored backup, may have taken back what was stored a moment ago: then nothing became of it, and
 * its client has to send it again.
 * @param knownAs the incarnation before it was stored or found
 * @throws ApiError unavailable
 */
function requireStored(batch: StoredBatch, { operations, incarnation }: Outcomes, knownAs: string) {
  const isThere = (entry: BatchEntry) => 'error' in entry || operations.has(operationKey(entry));
  if (incarnation === knownAs || batch.entries.every(isThere)) return;
  throw new ApiError(
    'unavailable',
    'The batch was stored, and then the database was replaced by an earlier state of it. Send it again.',
  );
}

/** A queue that does not answer costs a delay: the reconciler finds the operations. */
async function dispatch(deps: ApiDeps, workspaceId: string, batchId: string, ids: number[], replyTo?: string) {
  try {
    await deps.producer.enqueue(jobsOfBatch(workspaceId, batchId, ids, deps.config.sync.batchSize, replyTo));
  } catch (error) {
    if (!(error instanceof QueueUnavailable)) throw error;
    deps.logger.debug('the batch waits for the reconciler', { batchId });
  }
}

/** What became of a batch's operations, and the tasks that its refused items name (I10). */
async function readOutcomesOf(deps: ApiDeps, workspaceId: string, { entries }: StoredBatch): Promise<Outcomes> {
  const keys = entries.flatMap((entry) => ('error' in entry ? [] : [entry]));
  const read = (refused: BatchEntry[]) =>
    deps.readOutcomes(workspaceId, { keys, taskIds: refused.flatMap(({ taskId }) => taskId ?? []) });
  const invalid = entries.filter((entry) => 'error' in entry);
  const outcomes = await read(invalid);
  // Which op_ids were used for something else, and what the log does not hold any more, is not known before. All is read again, so that the
  // answer is of one moment.
  const refused = entries.filter((entry) => operationOf(entry, outcomes.operations) === undefined);
  return refused.length === invalid.length ? outcomes : read(refused);
}

/** The outcomes may be those of other requests too. */
const isSettled =
  ({ entries }: StoredBatch) =>
  ({ operations }: Outcomes) =>
    entries.every((entry) => 'error' in entry || operations.get(operationKey(entry))?.status !== 'pending');

function describeBatch(
  deps: ApiDeps,
  workspaceId: string,
  batch: StoredBatch,
  { operations, tasks, unread, incarnation }: Outcomes,
) {
  return presentBatch({
    batchId: batch.id,
    entries: batch.entries,
    clock: batch.clock,
    operations,
    tasks,
    unread,
    // Where much waits to be read, tasks are left out that would wait with it.
    limitBytes: Math.min(deps.config.responseLimitBytes, deps.answers.room()),
    cursorAt: cursorsOf(incarnation, workspaceId),
    serverTime: fromMicros(deps.clock.nowMicros()),
  });
}
