// What an api process tells Prometheus beside the metrics of every process.
import { Counter, Gauge, Histogram } from 'prom-client';
import { createProcessMetrics, DURATION_BUCKETS, type ProcessMetrics } from './processMetrics.js';

/** Why a request was refused before anything was done for it. */
const SHED_REASONS = [
  'event_loop_lag',
  'bytes_at_once',
  'concurrent_batches',
  'database_pool',
  'pending',
  'pending_per_workspace',
  'streams',
  'unread_answers',
] as const;
export type ShedReason = (typeof SHED_REASONS)[number];
/** Live streams, the feed as lines, and polls that wait. */
const STREAM_KINDS = ['sse', 'websocket', 'lines', 'poll'] as const;
export type StreamKind = (typeof STREAM_KINDS)[number];

/** What is read at a scrape. */
export interface AdmissionFigures {
  storing: number;
  waiting: number;
  pending: number;
  pendingMax: number;
  lagMs: number;
  unreadBytes: number;
}

export interface ApiMetrics extends ProcessMetrics {
  /** A batch was stored. */
  stored(counts: { accepted: number; duplicate: number; rejected: number }): void;
  /** A batch was answered, this long after its request came. */
  answered(status: 'completed' | 'processing', elapsedMicros: bigint): void;
  /** A task was written without a batch. */
  wrote(operation: string): void;
  /** @param route the template of the address, never the address itself */
  served(request: { method: string; route: string; status: string }, elapsedMs: number): void;
  shed(reason: ShedReason): void;
  streams(kind: StreamKind, open: number): void;
  /** Names where the figures of the admission come from. */
  watch(read: () => AdmissionFigures): void;
}

export function createApiMetrics(...shared: Parameters<typeof createProcessMetrics>): ApiMetrics {
  const common = createProcessMetrics(...shared);
  const registers = [common.registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name, help, labelNames, registers });
  const histogram = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Histogram({ name, help, labelNames, buckets: DURATION_BUCKETS, registers });

  const batches = counter('task_sync_batches_accepted_total', 'Batches stored.');
  const accepted = counter('task_sync_operations_accepted_total', 'Operations stored for the first time.');
  const duplicate = counter('task_sync_operations_duplicate_total', 'Operations that were known already.');
  const rejected = counter('task_sync_operations_rejected_total', 'Items that were not valid.');
  const answered = counter('task_sync_batches_answered_total', 'Answers to batches.', ['status']);
  const duration = histogram('task_sync_batch_duration_seconds', 'From a request with a batch to its settled answer.');
  const direct = counter('task_sync_direct_writes_total', 'Tasks written without a batch.', ['operation']);
  const requests = histogram('task_sync_http_request_duration_seconds', 'Answered requests, live streams left out.', [
    'method',
    'route',
    'status',
  ]);
  const shed = counter('task_sync_requests_shed_total', 'Requests refused to protect the server.', ['reason']);
  const streams = gauge('task_sync_streams_open', 'Streams, and polls that wait.', ['kind']);
  const watch = defineAdmission(gauge);
  for (const reason of SHED_REASONS) shed.inc({ reason }, 0);
  for (const status of ['completed', 'processing']) answered.inc({ status }, 0);
  for (const kind of STREAM_KINDS) streams.set({ kind }, 0);
  for (const operation of ['create', 'update', 'delete']) direct.inc({ operation }, 0);
  let update = () => {};
  return {
    ...common,
    scrape() {
      update();
      return common.scrape();
    },
    stored(counts) {
      batches.inc();
      accepted.inc(counts.accepted);
      duplicate.inc(counts.duplicate);
      rejected.inc(counts.rejected);
    },
    answered(status, elapsedMicros) {
      answered.inc({ status });
      if (status === 'completed') duration.observe(Math.max(0, Number(elapsedMicros) / 1e6));
    },
    wrote: (operation) => direct.inc({ operation }),
    served: (labels, elapsedMs) => requests.observe(labels, elapsedMs / 1_000),
    shed: (reason) => shed.inc({ reason }),
    streams: (kind, open) => streams.set({ kind }, open),
    watch(read) {
      update = () => watch(read());
    },
  };
}

function defineAdmission(gauge: (name: string, help: string) => Gauge) {
  const storing = gauge('task_sync_batches_storing', 'Batches and writes that are being stored now.');
  const waiting = gauge('task_sync_requests_waiting', 'Requests that wait for their operations.');
  const pending = gauge('task_sync_pending_estimate', 'Pending operations as the limits see them.');
  const pendingMax = gauge('task_sync_pending_max', 'Most pending operations that are accepted (PENDING_MAX).');
  const lag = gauge('task_sync_event_loop_lag_seconds', 'The mean lag that LOAD_SHED_LAG_MS is compared with.');
  const unread = gauge('task_sync_unread_answer_bytes', 'Bytes of answers that their readers have not taken.');
  return (figures: AdmissionFigures) => {
    unread.set(figures.unreadBytes);
    storing.set(figures.storing);
    waiting.set(figures.waiting);
    pending.set(figures.pending);
    pendingMax.set(figures.pendingMax);
    lag.set(figures.lagMs / 1_000);
  };
}
