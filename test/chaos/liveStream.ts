// One reader of live changes (SSE) through all faults: it comes back with its last cursor after each break, as an EventSource does, and
// checks that every change continues where the one before ended: no gap, no repeat.
import { setTimeout as sleep } from 'node:timers/promises';
import { type EventStream, openEventStream, type StreamEvent } from '../support/eventStream.js';
import { type FeedTask, liveTasks } from './feedCopy.js';
import type { History } from './history.js';
import type { Targets } from './targets.js';

/** What the server advises with `retry`. */
const RETRY_MS = 1_000;
const POLL_MS = 20;
/** A server that accepts the connection and does not begin the stream. */
const BEGIN_LIMIT_MS = 10_000;

export type LiveStream = Awaited<ReturnType<typeof followLive>>;

/** Where another stream stands, to begin there. */
interface StreamPlace {
  cursor: string;
  seq: number;
  tasks: readonly FeedTask[];
}

/** @param random chooses among the addresses */
export async function followLive(
  targets: Targets,
  history: History,
  random: () => number,
  { pollMs = POLL_MS, from }: { pollMs?: number; from?: StreamPlace } = {},
) {
  const tasks = new Map<string, FeedTask>(from?.tasks.map((task) => [task.id, task]));
  let cursor = from?.cursor ?? '';
  let seq = from?.seq ?? 0;
  let isClosed = false;
  let current: EventStream | undefined;
  let begun = 0;
  let brokeAt: number | undefined;
  let longestBreakMs = 0;
  const violate = (what: string) => history.violate(`stream: ${what}`);

  function onChange({ data, id }: StreamEvent) {
    if (data.prev_cursor !== cursor) violate(`a change continues ${data.prev_cursor}, not ${cursor}`);
    if (data.task.seq <= seq) violate(`seq ${data.task.seq} after ${seq}`);
    if (id !== data.cursor) violate(`the id ${id} is not the cursor ${data.cursor}`);
    seq = data.task.seq;
    cursor = data.cursor;
    const { title, description, completed, deleted } = data.task;
    tasks.set(data.task.id, { id: data.task.id, title, description, completed, deleted, seq });
  }

  async function readOnce() {
    const sentCursor = cursor;
    let isReady = false;
    const waiting: StreamEvent[] = [];
    const stream = openEventStream(
      `${targets.pick(random)}/api/sync/stream`,
      (event) => (isReady ? onChange(event) : waiting.push(event)),
      cursor,
    );
    current = stream;
    for (const until = Date.now() + BEGIN_LIMIT_MS; !stream.ended() && !isClosed; await sleep(pollMs)) {
      const ready = stream.events.find(({ name }) => name === 'ready');
      if (ready !== undefined && !isReady) {
        if (sentCursor !== '' && ready.data.cursor !== sentCursor) violate(`begins at ${ready.data.cursor}`);
        cursor = ready.data.cursor;
        isReady = true;
        begun += 1;
        if (brokeAt !== undefined) longestBreakMs = Math.max(longestBreakMs, Date.now() - brokeAt);
        brokeAt = undefined;
        for (const event of waiting.splice(0)) onChange(event);
      }
      if (!isReady && Date.now() > until) break;
      if (stream.events.some(({ name }) => name === 'resync')) violate('was told to resync');
      stream.events.length = isReady ? 0 : stream.events.length;
    }
    if (isReady) brokeAt ??= Date.now();
    stream.close();
  }

  const ended = (async () => {
    while (!isClosed) {
      await readOnce();
      if (!isClosed) await sleep(RETRY_MS);
    }
  })();
  for (let waited = 0; begun === 0 && waited < BEGIN_LIMIT_MS; waited += POLL_MS) await sleep(POLL_MS);
  if (begun === 0) throw new Error('the live stream did not begin');

  return {
    live: () => liveTasks(tasks.values()),
    seq: () => seq,
    place: (): StreamPlace => ({ cursor, seq, tasks: [...tasks.values()] }),
    reconnects: () => begun - 1,
    /** From a break until the next `ready`. */
    longestBreakMs: () => longestBreakMs,
    async close() {
      isClosed = true;
      current?.close();
      await ended;
    },
  };
}
