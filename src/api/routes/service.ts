// GET / and the health checks: what runs here, and whether it can work.
import { type RequestHandler, Router } from 'express';
import type { Config } from '../../../config/index.js';
import { type QueueLook, QueueUnavailable } from '../../queue/producer.js';
import { isMigrated } from '../../storage/migrate.js';
import { DATA_LIMITS } from '../../sync/dataLimits.js';
import type { ApiDeps } from '../deps.js';
import { route } from '../middleware/methods.js';
import { bodyLimits } from '../problem.js';

const ENDPOINTS = {
  tasks: ['GET /api/tasks', 'POST /api/tasks', 'GET|PUT|PATCH|DELETE /api/tasks/:id', 'GET /api/tasks/:id/history'],
  sync: [
    'POST /api/sync/batch',
    'GET /api/sync/batches/:id',
    'GET /api/sync/status',
    'GET /api/sync/queue',
    'POST /api/sync/trigger',
    'POST /api/sync/queue/:id/retry',
    'DELETE /api/sync/queue/:id',
    'GET /api/sync/operations/:id',
    'POST /api/sync/operations/:id/reapply',
    'GET /api/sync/changes',
    'GET /api/sync/digest',
    'GET /api/sync/stream',
    'WebSocket /api/sync/ws',
  ],
  health: ['GET /health', 'GET /health/live', 'GET /health/ready'],
  dashboard: ['GET /admin/queues'],
  metrics: ['GET /metrics'],
};

/** A health check that takes longer says down: whoever asks has a time limit too. */
const CHECK_TIMEOUT_MS = 2_000;

/** The routes of the service itself. */
export function serviceRoutes(deps: ApiDeps): Router {
  const router = Router();
  route(router, '/', { get: describe(deps) });
  route(router, '/health', { get: health(deps) });
  route(router, '/health/live', { get: (_request, response) => void response.json({ status: 'ok' }) });
  route(router, '/health/ready', { get: ready(deps) });
  return router;
}

const describe =
  (deps: ApiDeps): RequestHandler =>
  (_request, response) => {
    response.json({
      name: 'task-sync',
      version: deps.version,
      status: 'running',
      endpoints: ENDPOINTS,
      limits: describeLimits(deps.config),
      docs: 'docs/protocol.md in the repository',
    });
  };

/** What a client has to keep to, so that it can be built without knowing the server's settings. */
function describeLimits(config: Config) {
  const { sync, admission, bodyLimitBytes, responseLimitBytes, requestTimeoutMs, requestSilenceMs, streamMax } = config;
  return {
    max_items: sync.maxItems,
    ...bodyLimits(bodyLimitBytes),
    ...DATA_LIMITS,
    response_bytes: responseLimitBytes,
    request_ms: requestTimeoutMs,
    request_silence_ms: requestSilenceMs,
    wait_ms: sync.waitMs,
    wait_max_ms: sync.waitMaxMs,
    pending_per_workspace: admission.pendingMaxPerWorkspace,
    pending: admission.pendingMax,
    concurrent_batches: admission.concurrentBatches,
    waiting_requests: admission.waitingRequests,
    streams: streamMax,
  };
}

const health =
  (deps: ApiDeps): RequestHandler =>
  async (_request, response) => {
    const [isDatabaseUp, queue] = await Promise.all([checkDatabase(deps), checkQueue(deps)]);
    const { workers } = queue;
    const status = !isDatabaseUp ? 'down' : queue.state === 'up' && workers !== 0 ? 'ok' : 'degraded';
    response.json({
      ok: status === 'ok',
      status,
      message: describeHealth(isDatabaseUp, queue),
      database: isDatabaseUp ? 'up' : 'down',
      queue: queue.state,
      workers: workers ?? null,
      environment: deps.config.environment,
      version: deps.version,
      uptime_s: Math.floor(process.uptime()),
    });
  };

/** What is wrong with a Redis that answers reads, and what to do, by the code of its refusal. */
const REFUSALS: Record<string, string> = {
  READONLY: 'it is a replica. REDIS_URL must lead to the master.',
  MASTERDOWN: 'it is a replica that has lost its master. REDIS_URL must lead to a master.',
  MISCONF: 'it cannot save its data. Look at its disk and its log.',
  NOREPLICAS: 'too few replicas are connected to it (min-replicas-to-write).',
  NOPERM: 'its user lacks a right (ACL).',
  NOAUTH: 'it asks for a password. REDIS_URL must carry it.',
  WRONGPASS: 'it does not accept the password in REDIS_URL.',
  LOADING: 'it is still loading its data.',
  BUSY: 'a script keeps it busy.',
  CLUSTERDOWN: 'its cluster is down.',
};

function describeHealth(isDatabaseUp: boolean, { state, refusal, workers }: QueueCheck): string {
  if (!isDatabaseUp) return 'The database does not answer or lacks its schema: requests get 503 until it does.';
  if (state === 'full') {
    return "Redis refuses jobs because its memory is full: batches are accepted, and workers apply them directly, more slowly. Raise Redis's maxmemory, or remove what else lives there.";
  }
  if (state === 'refusing') {
    return `Redis refuses jobs (${refusal}): ${REFUSALS[refusal ?? ''] ?? 'see its log.'} Until it takes them, batches are accepted, and workers apply them directly, more slowly.`;
  }
  if (state === 'down')
    return 'The queue does not answer: batches are accepted, and workers apply them directly, more slowly.';
  if (state === 'paused') {
    return 'The queue is paused, in Bull Board or by a program: batches are accepted and wait until it is resumed there.';
  }
  if (state === 'limited') {
    return 'Somebody set a rate limit on the queue: batches are accepted and wait for their turn. Remove it in Bull Board.';
  }
  if (workers === 0) return 'No worker is connected: batches are accepted and wait.';
  return 'All parts work.';
}

const ready =
  (deps: ApiDeps): RequestHandler =>
  async (_request, response) => {
    if (deps.stopping.aborted) response.status(503).json({ status: 'stopping' });
    else if (await checkDatabase(deps)) response.json({ status: 'ok' });
    else response.status(503).json({ status: 'database down or not migrated' });
  };

async function checkDatabase(deps: ApiDeps): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, CHECK_TIMEOUT_MS, false);
  });
  const answered = isMigrated(deps.database).catch((error: unknown) => {
    deps.logger.debug('health: the database does not answer', { error: String(error) });
    return false;
  });
  return Promise.race([answered, tooLate]).finally(() => clearTimeout(timer));
}

interface QueueCheck extends QueueLook {
  /** Undefined: the queue does not answer. */
  workers: number | undefined;
}

async function checkQueue(deps: ApiDeps): Promise<QueueCheck> {
  const [workers, look] = await Promise.all([countWorkers(deps), deps.producer.look()]);
  return { ...look, workers, ...(workers === undefined && look.state === 'up' ? { state: 'down' as const } : {}) };
}

async function countWorkers(deps: ApiDeps): Promise<number | undefined> {
  try {
    return await deps.producer.countWorkers();
  } catch (error) {
    if (!(error instanceof QueueUnavailable)) throw error;
    return undefined;
  }
}
