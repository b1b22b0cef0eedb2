// A device that follows the feed live as docs/protocol.md tells: it bootstraps, goes on with a stream, comes back with its last cursor when that breaks,
// and bootstraps again after a 410 or a resync that asks for it.
import { setTimeout as sleep } from 'node:timers/promises';
import { type EventStream, openEventStream, type StreamEvent } from '../support/eventStream.js';
import { type Client, createClient } from './client.js';
import { createFeedCopy, type FeedTask, liveTasks } from './feedCopy.js';

const POLL_MS = 20;
const RETRY_MS = 250;
const REQUEST_LIMIT_MS = 15_000;

export interface Follower {
  live(): FeedTask[];
  seq(): number;
  /** How often it was told with `resync` that the database is an earlier state. */
  restored(): number;
  /** How often it has read everything anew. */
  bootstraps(): number;
  close(): Promise<void>;
}

/** @param violate is told what must not be */
export function startFollower(name: string, url: string, violate: (what: string) => void): Follower {
  const client: Client = createClient(REQUEST_LIMIT_MS);
  let tasks = new Map<string, FeedTask>();
  let cursor = '';
  let seq = 0;
  let restored = 0;
  let bootstraps = 0;
  let isClosed = false;
  let current: EventStream | undefined;
  const wrong = (what: string) => violate(`${name}: ${what}`);

  async function bootstrap() {
    const copy = createFeedCopy(wrong);
    let more = true;
    while (more && !isClosed) {
      try {
        more = copy.take(await client.send('GET', `${url}${copy.path(500)}`));
      } catch {
        // The database is away: the same page again.
        await sleep(RETRY_MS);
      }
    }
    tasks = new Map(copy.all().map((task) => [task.id, task]));
    cursor = copy.cursor() ?? '';
    seq = Math.max(0, ...[...tasks.values()].map((task) => task.seq));
    bootstraps += 1;
  }

  function take({ data }: StreamEvent) {
    if (data.prev_cursor !== cursor) wrong(`a change continues ${data.prev_cursor}, not ${cursor}`);
    if (data.task.seq <= seq) wrong(`seq ${data.task.seq} after ${seq}`);
    const { id, title, description, completed, deleted } = data.task;
    ({ cursor } = data);
    seq = data.task.seq;
    tasks.set(id, { id, title, description, completed, deleted, seq });
  }

  /** @returns whether its cursor is of no use any more */
  async function followOnce(): Promise<boolean> {
    let isOver = false;
    const stream = openEventStream(
      `${url}/api/sync/stream`,
      (event) => {
        if (stream.events.some(({ name: kind }) => kind === 'resync')) wrong('a change came after resync');
        take(event);
      },
      cursor,
    );
    current = stream;
    while (!stream.ended() && !isClosed) await sleep(POLL_MS);
    isOver ||= / 410 /.test(stream.head().split('\r\n')[0] ?? '');
    for (const { name: kind, data } of stream.events) {
      if (kind !== 'resync') continue;
      if (data.reason === 'restored') restored += 1;
      isOver ||= data.reason !== 'too slow';
    }
    stream.close();
    return isOver;
  }

  const ended = (async () => {
    await bootstrap();
    while (!isClosed) {
      if (await followOnce()) await bootstrap();
      else if (!isClosed) await sleep(RETRY_MS);
    }
  })();
  return {
    live: () => liveTasks(tasks.values()),
    seq: () => seq,
    restored: () => restored,
    bootstraps: () => bootstraps,
    async close() {
      isClosed = true;
      current?.close();
      await ended;
      client.close();
    },
  };
}
