// What the suite asks of the load generator and what it answers, over the channel between the two processes.

/** What the devices of a fleet do. */
export type Workload = 'create' | 'update' | 'stale' | 'mixed' | 'resend';

/** Whom they talk to, and how. */
export type Target =
  | { protocol: 'taskSync' | 'pouchdb' | 'rxdb'; url: string }
  | { protocol: 'sql'; databaseUrl: string }
  | { protocol: 'crud'; url: string; action: CrudAction };

export type CrudAction = 'create' | 'read' | 'list' | 'patch';

/** Devices that push the same kind of work, each on a connection of its own, one request at a time. */
export interface Fleet {
  /** Names its tasks and operations as well; lower case letters, digits and -. */
  id: string;
  target: Target;
  connections: number;
  /** Operations a request. */
  batch: number;
  workload: Workload;
  /** Tasks that are there already, `<prefix>-<n>` with n from 1; without them the fleet makes its own. */
  existing?: { prefix: string; count: number };
}

export type Job =
  | { kind: 'prepare'; fleet: Fleet }
  | { kind: 'load'; fleets: { id: string; operationsPerS?: number }[]; warmUpMs: number; measureMs: number }
  | { kind: 'pull'; pull: Pull; clients: number; warmUpMs: number; measureMs: number }
  | { kind: 'live'; url: string; databaseUrl: string; streams: number; pushesPerS: number; measureMs: number }
  | { kind: 'idle'; url: string; streams: number; settleMs: number; measureMs: number }
  | { kind: 'backlog'; env: Record<string, string>; workspaces: number; operations: number; limitMs: number };

/** A way of reading everything, over and over. `copy` is PostgreSQL's own way, through psql. */
export type Pull =
  | { protocol: 'pages' | 'lines' | 'delta' | 'pouchdb' | 'rxdb'; url: string }
  | { protocol: 'copy'; psql: string; databaseUrl: string };

/** Flat, like the metrics that it becomes: of a fleet under its place in the job, `0.operations`. */
export type JobResult = Record<string, number>;

export type FromGenerator =
  | { type: 'begin' }
  | { type: 'end' }
  | { type: 'done'; result: JobResult }
  | { type: 'failed'; error: string };

/** Called by a job at the edges of what it measures. */
export interface Window {
  begin(): void;
  end(): void;
}

/** What became of one request. */
export interface Exchange {
  /** Operations with an outcome. */
  settled: number;
  /** Accepted but not applied yet (202). */
  pending: number;
  /** Requests that were told to come later (429, 503). */
  refused: number;
  /** Operations or requests that went wrong. */
  errors: number;
  /** The first fault in words. */
  fault?: string;
}

export const NOTHING: Exchange = { settled: 0, pending: 0, refused: 0, errors: 0 };
