// What one device writes, on the streams of the others: how long after the commit, and how long after it was sent. One process sends, listens
// and reads the clock; PostgreSQL notes the time of every commit (track_commit_timestamp) by the clock of the same machine, as it begins to
// write the commit to disk: the flush is in the measured time.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { percentile } from '../statistics.js';
import { connect } from './connection.js';
import { createDevice } from './devices.js';
import { openEventStreams } from './eventStream.js';
import type { Job, JobResult, Window } from './jobs.js';
import { createStream } from './operations.js';

/** Events that have not arrived so long after the last push never will. */
const LAST_EVENTS_MS = 10_000;
const CONNECTIONS = 4;

/** Milliseconds since 1970 with a fraction: Date.now() has none. */
const nowMs = () => performance.timeOrigin + performance.now();

interface Arrival {
  opId: string;
  atMs: number;
}

/** @throws an Error when an event was lost */
export async function runLive(job: Extract<Job, { kind: 'live' }>, window: Window): Promise<JobResult> {
  const arrivals: Arrival[] = [];
  const streams = await openEventStreams(job.url, job.streams, (opId) => void arrivals.push({ opId, atMs: nowMs() }));
  try {
    window.begin();
    const sentAt = await pushAtRate(job.url, job.pushesPerS, job.measureMs);
    const expected = sentAt.size * job.streams;
    for (const until = nowMs() + LAST_EVENTS_MS; arrivals.length < expected && nowMs() < until; ) await sleep(20);
    window.end();
    const missing = expected - arrivals.length;
    if (missing > 0) throw new Error(`${missing} of ${expected} events did not arrive`);
    return summarize(arrivals, sentAt, await readCommits(job.databaseUrl, [...sentAt.keys()]));
  } finally {
    for (const stream of streams) stream.close();
  }
}

function summarize(
  arrivals: readonly Arrival[],
  sentAt: ReadonlyMap<string, number>,
  committedAt: ReadonlyMap<string, number>,
) {
  const since = (times: ReadonlyMap<string, number>) =>
    Float64Array.from(arrivals, ({ opId, atMs }) => atMs - (times.get(opId) ?? Number.NaN)).sort();
  const fromCommit = since(committedAt);
  const fromPush = since(sentAt);
  return {
    events: arrivals.length,
    operations: sentAt.size,
    commitToEventP50Ms: percentile(fromCommit, 50),
    commitToEventP99Ms: percentile(fromCommit, 99),
    pushToEventP50Ms: percentile(fromPush, 50),
    pushToEventP99Ms: percentile(fromPush, 99),
  };
}

/** Pushes single creates at a steady rate. @returns when each was sent, by op_id */
async function pushAtRate(url: string, perS: number, durationMs: number): Promise<Map<string, number>> {
  const connections = Array.from({ length: CONNECTIONS }, () => connect(url));
  const device = createDevice('taskSync');
  const { next } = createStream(`live-${randomUUID()}`, 'create', []);
  const sentAt = new Map<string, number>();
  const startedAt = nowMs();
  const pushes: Promise<void>[] = [];
  for (let number = 0; number < Math.max(1, (perS * durationMs) / 1_000); number += 1) {
    await sleep(Math.max(0, startedAt + (number * 1_000) / perS - nowMs()));
    const operations = next(1);
    sentAt.set(operations[0]?.opId ?? '', nowMs());
    const connection = connections[number % CONNECTIONS];
    const sending = connection?.exchange(device.write(operations), (text) => device.read(operations, text));
    pushes.push(Promise.resolve(sending).then((exchange) => failUnlessTaken(exchange?.fault)));
  }
  await Promise.all(pushes).finally(() => Promise.all(connections.map((each) => each.close())));
  return sentAt;
}

function failUnlessTaken(fault: string | undefined) {
  if (fault !== undefined) throw new Error(fault);
}

/** When the transactions that wrote these operations' tasks were committed, ms since 1970, by op_id. */
async function readCommits(databaseUrl: string, opIds: string[]): Promise<Map<string, number>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ opId: string; atMs: string }>(
      `SELECT op_id AS "opId", extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000 AS "atMs" FROM tasks WHERE op_id = ANY($1)`,
      [opIds],
    );
    return new Map(rows.map(({ opId, atMs }) => [opId, Number(atMs)]));
  } finally {
    await client.end();
  }
}

/** Streams that are open and have nothing to say. */
export async function runIdle(job: Extract<Job, { kind: 'idle' }>, window: Window): Promise<JobResult> {
  const streams = await openEventStreams(job.url, job.streams, () => undefined);
  await sleep(job.settleMs);
  try {
    window.begin();
    await sleep(job.measureMs);
    window.end();
    return { streams: job.streams, seconds: job.measureMs / 1_000 };
  } finally {
    for (const stream of streams) stream.close();
  }
}
