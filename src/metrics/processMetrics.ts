// What both kinds of processes tell Prometheus: themselves (prom-client's default metrics), their pool, and the backlog. Each process has a
// registry of its own, handed on as an argument: tests run several in one Node process.
// Labels have few values: never a workspace, a path or anything that users wrote.
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { createPendingAge } from '../pendingAge.js';
import { toMicros } from '../sync/timestamp.js';
import type { Figures } from './figures.js';

/** Seconds, for waits and durations: from a fast statement to a long outage. */
export const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export interface Scrape {
  contentType: string;
  text: string;
}

export interface ProcessMetrics {
  readonly registry: Registry;
  /** The answer to a scrape; never throws for a part that is down, and takes about a second at most. */
  scrape(): Promise<Scrape>;
}

/**
 * @param readFigures what has to be asked for at a scrape
 * @param nowMicros the server's clock
 */
export function createProcessMetrics(readFigures: () => Promise<Figures>, nowMicros: () => bigint): ProcessMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const show = defineFigures(registry);
  return {
    registry,
    async scrape() {
      show(await readFigures(), nowMicros());
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

function defineFigures(registry: Registry) {
  const ageMicros = createPendingAge(() => performance.now());
  const ageS = (time: string | null, nowMicros: bigint) =>
    time === null ? 0 : Number(ageMicros('all', toMicros(time), nowMicros)) / 1e6;
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const up = gauge('task_sync_up', 'Whether a part answers this process.', ['dependency']);
  const pending = gauge('task_sync_pending_operations', 'Accepted operations that wait to be applied.');
  const failed = gauge('task_sync_failed_operations', 'Operations that were given up and are kept.');
  const oldest = gauge('task_sync_oldest_pending_age_seconds', 'How long the oldest pending operation waits; 0: none.');
  const jobs = gauge('task_sync_queue_jobs', 'Jobs in the queue.', ['state']);
  const full = gauge('task_sync_queue_full', 'Whether Redis refuses writes because its memory is full.');
  const refusing = gauge('task_sync_queue_refusing', 'Whether Redis answers, but refuses jobs, for whatever reason.');
  const paused = gauge('task_sync_queue_paused', 'Whether the queue was paused or limited: jobs wait.');
  const skew = gauge('task_sync_clock_skew_seconds', "How far this machine's clock is ahead of the database's.");
  const connections = gauge('task_sync_database_pool_connections', 'Connections of this process.', ['state']);
  const waiting = gauge('task_sync_database_pool_waiting', 'Statements that wait for a connection.');
  const max = gauge('task_sync_database_pool_max', 'Most connections of this process (DATABASE_POOL_SIZE).');

  return ({ isDatabaseUp, backlog, depths, queueState, clockSkewMs, pool }: Figures, nowMicros: bigint) => {
    up.set({ dependency: 'database' }, isDatabaseUp ? 1 : 0);
    up.set({ dependency: 'queue' }, depths === undefined ? 0 : 1);
    full.set(queueState === 'full' ? 1 : 0);
    refusing.set(queueState === 'full' || queueState === 'refusing' ? 1 : 0);
    paused.set(queueState === 'paused' || queueState === 'limited' ? 1 : 0);
    skew.set(clockSkewMs / 1_000);
    connections.set({ state: 'in_use' }, pool.inUse);
    connections.set({ state: 'idle' }, pool.idle);
    waiting.set(pool.waiting);
    max.set(pool.max);
    // What is not known is left out: an old figure would look like a true one.
    if (backlog === undefined) for (const each of [pending, failed, oldest]) each.remove();
    else {
      pending.set(backlog.pending);
      failed.set(backlog.failed);
      oldest.set(ageS(backlog.oldestPendingAt, nowMicros));
    }
    if (depths === undefined) jobs.reset();
    else for (const [state, count] of Object.entries(depths)) jobs.set({ state }, count);
  };
}
