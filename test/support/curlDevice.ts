// A device that has nothing but curl and docs/protocol.md: its copy of the tasks, the cursor that belongs to it, and the protocol's steps.
import { expect } from 'chai';
import { type CurlStream, curl, openCurlStream } from './curl.js';
import { bucketOf, digestOf } from './digest.js';
import type { StreamEvent } from './eventStream.js';
import type { Answer } from './system.js';

interface CopiedTask {
  id: string;
  seq: number;
  deleted: boolean;
  title: string;
}

export interface CurlDevice {
  readonly copy: ReadonlyMap<string, CopiedTask>;
  cursor(): string | undefined;
  /** One page of the feed, taken over. */
  pull(query?: string): Promise<Answer>;
  /** Reads the feed to its end. */
  catchUp(query?: string): Promise<void>;
  /** Everything from the beginning, as lines; drops what was not listed. */
  bootstrapByLines(): Promise<void>;
  /** Follows live from the cursor, each way of saying where. */
  follow(how: 'Last-Event-ID' | 'cursor'): CurlStream;
  /** Takes the changes of a stream over; each has to continue where the one before ended. */
  take(events: readonly StreamEvent[]): void;
  /** The buckets in which the copy differs from the server. */
  verify(): Promise<number[]>;
  /** Fetches a bucket again, in pages. */
  repair(bucket: number): Promise<void>;
  /** Something was lost or broken on the device. */
  damage(change: (copy: Map<string, CopiedTask>) => void): void;
}

/** @param url the api that it talks to */
export function createCurlDevice(url: string): CurlDevice {
  let copy = new Map<string, CopiedTask>();
  let cursor: string | undefined;
  const get = (path: string, ...parameters: string[]) => curl([...parameters, `${url}${path}`]);
  const put = (task: CopiedTask) => void (task.deleted ? copy.delete(task.id) : copy.set(task.id, task));

  const device: CurlDevice = {
    get copy() {
      return copy;
    },
    cursor: () => cursor,
    async pull(query = '') {
      const page = await get(`/api/sync/changes?${query}${cursor === undefined ? '' : `&cursor=${cursor}`}`);
      if (page.status !== 200) return page;
      page.body.changes.forEach(put);
      cursor = page.body.cursor;
      expect(page.headers.get('sync-cursor')).to.equal(cursor);
      return page;
    },
    async catchUp(query = '') {
      for (let hasMore = true; hasMore; ) {
        const { status, body } = await device.pull(query);
        expect(status).to.equal(200);
        hasMore = body.has_more;
      }
    },
    async bootstrapByLines() {
      const { body } = await get('/api/sync/changes', '-H', 'Accept: application/x-ndjson');
      const lines: string[] = String(body).trimEnd().split('\n');
      const last = JSON.parse(lines.pop() ?? '{}');
      expect(last, 'the last line is the cursor').to.have.all.keys('cursor');
      copy = new Map();
      for (const line of lines) put(JSON.parse(line));
      cursor = last.cursor;
    },
    follow: (how) =>
      how === 'cursor'
        ? openCurlStream([`${url}/api/sync/stream?cursor=${cursor}`])
        : openCurlStream(['-H', `Last-Event-ID: ${cursor}`, `${url}/api/sync/stream`]),
    take(events) {
      for (const { name, id, data } of events) {
        if (name !== 'change') continue;
        expect(data.prev_cursor, 'nothing was missed').to.equal(cursor);
        expect(id).to.equal(data.cursor);
        put(data.task);
        cursor = data.cursor;
      }
    },
    async verify() {
      await device.catchUp();
      const { body, headers } = await get('/api/sync/digest');
      expect(body.cursor, 'nobody writes meanwhile').to.equal(cursor);
      expect(headers.get('sync-cursor')).to.equal(cursor);
      const mine = digestOf(copy.values());
      return mine.flatMap((sum, bucket) => (sum === body.buckets[bucket] ? [] : [bucket]));
    },
    async repair(bucket) {
      const listed = new Map<string, CopiedTask>();
      for (let next: string | undefined = `/api/sync/changes?bucket=${bucket}&limit=1`; next !== undefined; ) {
        const { body }: Answer = await get(next);
        for (const task of body.changes) listed.set(task.id, task);
        next = body.has_more ? `/api/sync/changes?bucket=${bucket}&limit=1&cursor=${body.cursor}` : undefined;
      }
      for (const id of [...copy.keys()]) if (bucketOf(id) === bucket) copy.delete(id);
      for (const task of listed.values()) put(task);
    },
    damage: (change) => change(copy),
  };
  return device;
}
