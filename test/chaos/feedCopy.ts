// A device's copy of the tasks, kept by the change feed alone: by cursor, page by page, bootstrapping again on 410 (I6).
import type { Answer } from './client.js';

export interface FeedTask {
  id: string;
  title: string;
  description: string | null;
  completed: boolean;
  deleted: boolean;
  seq: number;
}

/** @param violate is told what must not be */
export function createFeedCopy(violate: (what: string) => void) {
  const tasks = new Map<string, FeedTask>();
  let cursor: string | undefined;
  let lastSeq = 0;
  /** What the bootstrap under way has listed. */
  let listed: Set<string> | undefined = new Set();
  let bootstraps = 1;

  return {
    path: (limit: number) =>
      `/api/sync/changes?limit=${limit}${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    /** Takes the answer to `path`. @returns whether there is more */
    take({ status, body }: Answer): boolean {
      if (status === 410) {
        cursor = undefined;
        lastSeq = 0;
        listed = new Set();
        bootstraps += 1;
        return true;
      }
      if (status !== 200) throw new Error(`the feed answered ${status}: ${JSON.stringify(body)?.slice(0, 300)}`);
      for (const { id, title, description, completed, deleted, seq } of body.changes) {
        if (seq <= lastSeq) violate(`the feed showed seq ${seq} after ${lastSeq}`);
        lastSeq = seq;
        listed?.add(id);
        tasks.set(id, { id, title, description, completed, deleted, seq });
      }
      cursor = body.cursor;
      if (body.has_more) return true;
      if (listed !== undefined) for (const id of tasks.keys()) if (!listed.has(id)) tasks.delete(id);
      listed = undefined;
      return false;
    },
    has: (id: string) => tasks.has(id),
    bootstraps: () => bootstraps,
    cursor: () => cursor,
    /** Tombstones included. */
    all: () => [...tasks.values()],
    /** Live tasks, by id. */
    live: () => liveTasks(tasks.values()),
  };
}

/** Without tombstones, by id: what two copies are compared by. */
export function liveTasks(tasks: Iterable<FeedTask>): FeedTask[] {
  return [...tasks].filter((task) => !task.deleted).sort((a, b) => (a.id < b.id ? -1 : 1));
}
