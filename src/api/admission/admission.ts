// What this process takes on, decided before it costs anything (I8): an overload is answered 429 or 503 with Retry-After, never with a
// collapse, and nothing that was accepted is touched by it. Three limits: how much waits to be applied (in memory, see
// pendingEstimate.ts), how far the event loop is behind, and how many batches and writes are being stored at once. For the last one
// nothing queues here: beyond the connections of the pool a few wait for it, and the pool's own time limit ends their wait.
import { ApiError } from '../../errors.js';
import type { AdmissionFigures, ShedReason } from '../../metrics/apiMetrics.js';
import type { LoopLag } from './loopLag.js';
import type { PendingEstimate } from './pendingEstimate.js';
import { createWaitingPlaces, type WaitingPlaces } from './waitingPlaces.js';

export interface Admission {
  /** For what costs much, before its body is read. @throws ApiError overloaded */
  checkLoad(): void;
  /** For a batch. @throws ApiError too_many_pending, overloaded */
  checkBacklog(workspaceId: string): Promise<void>;
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

export function createAdmission(
  limits: AdmissionLimits,
  deps: { lag: LoopLag; pending: PendingEstimate; onShed: (reason: ShedReason) => void },
): Admission {
  const { lag, pending } = deps;
  const waiting = createWaitingPlaces(limits.waitingRequests);
  let storing = 0;

  const refuse = (reason: ShedReason, error: ApiError): never => {
    deps.onShed(reason);
    throw error;
  };

  function checkStoring() {
    if (storing < limits.concurrentBatches) return;
    const detail = `This server stores ${limits.concurrentBatches} batches at once (MAX_CONCURRENT_BATCHES), and as many are under way.`;
    refuse('concurrent_batches', new ApiError('overloaded', detail));
  }

  function findFull(workspaceId: string): ShedReason | undefined {
    if (pending.total() >= limits.pendingMax) return 'pending';
    return pending.of(workspaceId) >= limits.pendingMaxPerWorkspace ? 'pending_per_workspace' : undefined;
  }

  async function checkBacklog(workspaceId: string) {
    const counting = pending.refresh();
    if (findFull(workspaceId) === undefined) return;
    // Nobody is refused for a count from an hour ago.
    await counting;
    const reason = findFull(workspaceId);
    if (reason !== undefined) refuse(reason, fullError(reason, limits));
  }

  async function hold<Result>(work: () => Promise<Result>): Promise<Result> {
    checkStoring();
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
    checkLoad() {
      checkStoring();
      if (limits.lagMs === 0 || lag.meanMs() <= limits.lagMs) return;
      const detail = `This server is ${Math.round(lag.meanMs())} ms behind, which is more than LOAD_SHED_LAG_MS allows.`;
      refuse('event_loop_lag', new ApiError('overloaded', detail));
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
    }),
  };
}

function fullError(reason: ShedReason, limits: AdmissionLimits): ApiError {
  const kept = 'Nothing of this batch was stored.';
  return reason === 'pending_per_workspace'
    ? new ApiError(
        'too_many_pending',
        `${limits.pendingMaxPerWorkspace} operations of this workspace wait to be applied (PENDING_MAX_PER_WORKSPACE). ${kept}`,
      )
    : new ApiError('overloaded', `${limits.pendingMax} operations wait to be applied (PENDING_MAX). ${kept}`);
}
