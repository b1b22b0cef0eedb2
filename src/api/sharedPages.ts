// Pages of the change feed for several readers: devices that come back at the same time ask for the same ones, and what one has read is sent
// to the others as it is, bytes included. Only full pages are passed on: they are a beginning of the feed that the reader goes on from, and
// whatever was written since stands behind it. A page that says that nothing follows is good for those who asked before its reading began.
// Each page says which feed it is of; nothing is kept of a database that was replaced.
import type { Database } from '../storage/database.js';
import type { FeedHead } from '../storage/readChanges.js';
import { type PageSize, type PageStart, readPage } from '../storage/readPage.js';
import type { TimeLine } from '../timeLine.js';

export interface PageForm extends PageSize {
  /** What stands between two changes. */
  separator: string;
  /** What stands behind the last one. */
  terminator: string;
}

export interface Page extends FeedHead {
  /** The changes as JSON; shared, not to be changed. */
  bytes: Buffer;
  count: number;
  /** Of the last change; null where there is none. */
  lastSeq: number | null;
  hasMore: boolean;
}

/** @throws as readPage */
export type ReadPage = (
  workspaceId: string,
  start: PageStart & Pick<FeedHead, 'incarnation'>,
  form: PageForm,
) => Promise<Page>;

/**
 * Long enough for readers that are not quite as fast as the first one. Short, because a page also tells the sync status of its tasks, which
 * changes without a change of the feed.
 */
const KEEP_MS = 200;
/** Of pages that are kept; one more is read for its reader alone. */
const KEPT_BYTES_MAX = 8_388_608;

/** @param keepMs how long full pages are kept */
export function createReadPage(database: Database, timeLine: TimeLine, keepMs = KEEP_MS): ReadPage {
  const pages = new Map<string, Promise<Page>>();
  let keptBytes = 0;
  timeLine.onChange(() => pages.clear());

  async function read(workspaceId: string, start: PageStart, form: PageForm): Promise<Page> {
    const { text, ...page } = await timeLine.follow(() => readPage(database, workspaceId, start, form));
    return { ...page, bytes: Buffer.from(page.count === 0 ? text : text + form.terminator) };
  }

  function share(key: string, reading: Promise<Page>) {
    pages.set(key, reading);
    const forget = () => {
      if (pages.get(key) === reading) pages.delete(key);
    };
    const keep = ({ hasMore, bytes }: Page) => {
      if (!hasMore || pages.get(key) !== reading || keptBytes + bytes.length > KEPT_BYTES_MAX) return forget();
      keptBytes += bytes.length;
      setTimeout(() => {
        keptBytes -= bytes.length;
        forget();
      }, keepMs).unref();
    };
    reading.then(keep, forget);
  }

  return async (workspaceId, start, form) => {
    if (start.bucket !== undefined) return read(workspaceId, start, form);
    // liveUntil, too: which tombstones a bootstrap leaves out depends on when it began.
    const key = JSON.stringify([start.incarnation, workspaceId, start.seq, start.liveUntil, form]);
    const open = pages.get(key);
    if (open !== undefined) {
      // What it fails with the others are told as well: where the database does not answer, nobody waits for it twice.
      const others = await open;
      if (others.hasMore) return others;
      const later = pages.get(key);
      if (later !== undefined && later !== open) return later;
    }
    const reading = read(workspaceId, start, form);
    share(key, reading);
    return reading;
  };
}
