// What this process takes on, decided before it costs anything (I8): an overload is answered 429 or 503 with Retry-After, never with a
// collapse, and nothing that was accepted is touched by it. Three limits: how much waits to be applied (in memory, see
// pendingEstimate.ts), how far the event loop is behind, and how many batches and writes are being stored at once. For the last one
// nothing queues here: beyond the connections of the pool a few wait for it, and the pool's own time limit ends their wait. Reads wait for
// the same connections, so new batches are refused as well while a long line stands there: else what was stored could not be answered.
import { ApiError } from '../../errors.js';
import type { AdmissionFigures, ShedReason } from '../../metrics/apiMetrics.js';
import { withTimeLimit } from '../../queue/producer.js';
import type { LoopLag } from './loopLag.js';
import type { PendingEstimate } from './pendingEstimate.js';
import { createWaitingPlaces, type WaitingPlaces } from './waitingPlaces.js';

export interface Admission {
  /** For what costs much, before its body of so many bytes is read. @throws ApiError overloaded */
  checkLoad(bytes: number): void;
  /** For a read of many rows. @throws ApiError overloaded */
  checkRead(): void;
  /**
   * For a batch.
   * @returns what to wait for where a count that is under way decides; it rejects with what is thrown elsewhere
   * @throws ApiError too_many_pending, overloaded
   */
  checkBacklog(workspaceId: string): Promise<void> | undefined;
  /**
   * Stores a batch within the limits.
   * @param store stores it and returns the ids of the operations that were new
   * @throws ApiError as checkBacklog, and overloaded; and what `store` throws
   */
  storeBatch(workspaceId: string, operations: number, store: () => Promise<number[]>): Promise<number[]>;
  /** Runs a write of a single task within the limits. @throws ApiError overloaded; and what `write` throws */
  write<Result>(write: () => Promise<Result>): Promise<Result>;
  readonly waiting: WaitingPlaces;
  figures(): AdmissionFigures;
}

export interface AdmissionLimits {
  pendingMax: number;
  pendingMaxPerWorkspace: number;
  /** 0: never refuses for its lag. */
  lagMs: number;
  concurrentBatches: number;
  waitingRequests: number;
}

/** Of bodies that are let through in one turn of the event loop: about 5,000 operations, which take it 100 to 150 ms. */
const TURN_BYTES_MAX = 1_048_576;
/** How long a batch that would be refused waits for a count that is under way. */
const COUNT_WAIT_MS = 500;
/** One stores a batch and three read its answer; after a wake-up many read at once, which is a short line and no overload. */
const STATEMENTS_PER_BATCH = 4;

export interface AdmissionDeps {
  lag: LoopLag;
  /** What more may wait to be read by clients, in bytes. */
  unread: { bytes: () => number; room: () => number };
  pending: PendingEstimate;
  /** How many statements wait for a connection. */
  poolWaiting: () => number;
  onShed: (reason: ShedReason) => void;
}

export function createAdmission(limits: AdmissionLimits, deps: AdmissionDeps): Admission {
  const { lag, pending } = deps;
  const waiting = createWaitingPlaces(limits.waitingRequests);
  let storing = 0;
  /** Let through in this turn of the event loop; their bodies are parsed before the next one is looked at, or come too slowly to matter. */
  let passing = { count: 0, bytes: 0 };

  // Made once: under an overload, collecting the stack of each error took an eighth of what a refusal costs.
  const refusals = createRefusals(limits);
  const refuse = (reason: ShedReason): never => {
    deps.onShed(reason);
    throw refusals[reason];
  };

  function checkStoring() {
    if (storing >= limits.concurrentBatches) refuse('concurrent_batches');
    if (deps.poolWaiting() >= limits.concurrentBatches * STATEMENTS_PER_BATCH) refuse('database_pool');
  }

  function findFull(workspaceId: string): ShedReason | undefined {
    if (pending.total() >= limits.pendingMax) return 'pending';
    return pending.of(workspaceId) >= limits.pendingMaxPerWorkspace ? 'pending_per_workspace' : undefined;
  }

  function checkBacklog(workspaceId: string): Promise<void> | undefined {
    const counting = pending.refresh();
    const reason = findFull(workspaceId);
    if (reason === undefined) return undefined;
    if (counting === undefined) return refuse(reason);
    return recheck(workspaceId, counting);
  }

  /** Nobody is refused for a count from an hour ago, and nobody waits for long to be refused. */
  async function recheck(workspaceId: string, counting: Promise<void>) {
    await withTimeLimit(counting, COUNT_WAIT_MS).catch(() => undefined);
    const reason = findFull(workspaceId);
    if (reason !== undefined) refuse(reason);
  }

  async function hold<Result>(work: () => Promise<Result>): Promise<Result> {
    checkStoring();
    if (passing.count > 0) passing.count -= 1;
    storing += 1;
    try {
      return await work();
    } finally {
      storing -= 1;
    }
  }

  return {
    waiting,
    checkBacklog,
    checkRead() {
      if (deps.unread.room() === 0) refuse('unread_answers');
      if (deps.poolWaiting() >= limits.concurrentBatches * STATEMENTS_PER_BATCH) refuse('database_pool');
      if (limits.lagMs > 0 && lag.meanMs() > limits.lagMs) refuse('event_loop_lag');
    },
    checkLoad(bytes) {
      checkStoring();
      // Hundreds may arrive in one turn: without this all of them would be parsed for the one place that is free.
      if (storing + passing.count >= limits.concurrentBatches) refuse('concurrent_batches');
      if (passing.bytes > 0 && passing.bytes + bytes > TURN_BYTES_MAX) refuse('bytes_at_once');
      if (limits.lagMs > 0 && lag.meanMs() > limits.lagMs) refuse('event_loop_lag');
      if (passing.bytes === 0) setImmediate(() => (passing = { count: 0, bytes: 0 }));
      passing.count += 1;
      // Never 0, which stands for a new turn.
      passing.bytes += bytes + 1;
    },
    write: hold,
    async storeBatch(workspaceId, operations, store) {
      await checkBacklog(workspaceId);
      return hold(async () => {
        const settle = pending.reserve(workspaceId, operations);
        let accepted = 0;
        try {
          const ids = await store();
          accepted = ids.length;
          return ids;
        } finally {
          settle(accepted);
        }
      });
    },
    figures: () => ({
      storing,
      waiting: waiting.count(),
      pending: pending.total(),
      pendingMax: limits.pendingMax,
      lagMs: lag.meanMs(),
      unreadBytes: deps.unread.bytes(),
    }),
  };
}

function createRefusals(limits: AdmissionLimits): Record<ShedReason, ApiError> {
  const { concurrentBatches, pendingMax, pendingMaxPerWorkspace, lagMs } = limits;
  const overloaded = (detail: string) => new ApiError('overloaded', `${detail} Nothing was done for this request.`);
  return {
    concurrent_batches: overloaded(
      `This server stores ${concurrentBatches} batches and writes at once (MAX_CONCURRENT_BATCHES).`,
    ),
    database_pool: overloaded(
      `${concurrentBatches * STATEMENTS_PER_BATCH} statements wait for a connection (DATABASE_POOL_SIZE).`,
    ),
    streams: overloaded('This server keeps as many streams open as it may (STREAM_MAX).'),
    unread_answers: overloaded('Too many bytes of answers wait to be read (UNREAD_ANSWERS_LIMIT).'),
    bytes_at_once: overloaded('More arrives at this moment than this server can read.'),
    event_loop_lag: overloaded(`This server is more than ${lagMs} ms behind (LOAD_SHED_LAG_MS).`),
    pending: overloaded(`${pendingMax} operations wait to be applied, as many as may (PENDING_MAX).`),
    pending_per_workspace: new ApiError(
      'too_many_pending',
      `${pendingMaxPerWorkspace} operations of this workspace wait to be applied, as many as may (PENDING_MAX_PER_WORKSPACE). Nothing of this batch was stored.`,
    ),
  };
}
