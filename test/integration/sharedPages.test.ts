// Readers of the change feed that come at the same moment share what is read, and miss nothing by it (I6).
import { expect } from 'chai';
import { openFeed, readFeedPage } from '../../src/api/feed.js';
import { createReadPage, type Page, type ReadPage } from '../../src/api/sharedPages.js';
import { DIGEST_BUCKETS } from '../../src/storage/readDigest.js';
import type { TimeLine } from '../../src/timeLine.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { openTimeLine } from '../support/timeLine.js';

const WORKSPACE = 'default';
const FORM = { limit: 2, maxBytes: 1_000_000, separator: ',', terminator: '' };
/** Longer than any test takes. */
const KEEP_MS = 60_000;

describe('pages of the change feed for several readers', () => {
  let system: System;
  let readPage: ReadPage;
  let timeLine: TimeLine;
  before(async () => {
    system = await startSystem(import.meta.url);
    timeLine = await openTimeLine(system.database);
    for (const id of ['a', 'b', 'c', 'd', 'e']) await system.request('POST', '/api/tasks', { id, title: id });
    await system.database.select("INSERT INTO workspaces (id) VALUES ('empty') RETURNING id", []);
  });
  beforeEach(() => {
    readPage = createReadPage(system.database, timeLine, KEEP_MS);
  });
  after(() => system.stop());

  const start = (seq: number, bucket?: number) => ({ seq, liveUntil: 0, bucket, incarnation: timeLine.current() });
  const read = (seq: number) => readPage(WORKSPACE, start(seq), FORM);
  const idsIn = ({ bytes }: Pick<Page, 'bytes'>): string[] =>
    JSON.parse(`[${bytes}]`).map((task: { id: string }) => task.id);

  it('one read serves all who want the same full page, and those who come a moment later', async () => {
    const pages = await Promise.all([read(0), read(0), read(0)]);
    pages.push(await read(0));
    expect(idsIn(await read(0))).to.deep.equal(['a', 'b']);
    expect(new Set(pages.map(({ bytes }) => bytes)).size).to.equal(1);
  });

  it('keeps none for longer than it is told', async () => {
    readPage = createReadPage(system.database, timeLine, 1);
    const first = await read(0);
    await eventually(async () => (await read(0)).bytes !== first.bytes);
  });

  it('another place, size, form, workspace or bucket is another page', async () => {
    await read(0);
    expect(idsIn(await read(1))).to.deep.equal(['b', 'c']);
    expect(idsIn(await readPage(WORKSPACE, start(0), { ...FORM, limit: 1 }))).to.deep.equal(['a']);
    const lines = await readPage(WORKSPACE, start(0), {
      limit: 2,
      maxBytes: 1_000_000,
      separator: '\n',
      terminator: '\n',
    });
    expect(`${lines.bytes}`).to.match(/^\{.*\}\n\{.*\}\n$/);
    // Read as if it had the same head: nothing of the other workspace may be in it (I7).
    expect(await readPage('empty', start(0), FORM)).to.include({ count: 0, hasMore: false });
    const inBuckets: string[] = [];
    for (let bucket = 0; bucket < DIGEST_BUCKETS; bucket += 1) {
      inBuckets.push(...idsIn(await readPage(WORKSPACE, start(0, bucket), FORM)));
    }
    expect(inBuckets.toSorted()).to.deep.equal(['a', 'b', 'c', 'd', 'e']);
  });

  it('the end of the feed comes from a read that began after it was asked for, which those who wait share', async () => {
    const ends = await Promise.all([read(4), read(4), read(4)]);
    expect(ends.map(({ hasMore }) => hasMore)).to.deep.equal([false, false, false]);
    expect(ends[1]?.bytes).to.not.equal(ends[0]?.bytes);
    expect(ends[2]?.bytes).to.equal(ends[1]?.bytes);
    await system.request('POST', '/api/tasks', { id: 'f', title: 'f' });
    expect(idsIn(await read(4))).to.deep.equal(['e', 'f']);
  });

  it('a bootstrap does not get the page of one that began before a deletion, whose tombstone it will not see', async () => {
    const open = () => openFeed({ database: system.database, timeLine }, WORKSPACE, undefined);
    const [before, alsoBefore] = [await open(), await open()];
    expect(idsIn(await readFeedPage(readPage, before, FORM))).to.deep.equal(['a', 'b']);
    await system.request('DELETE', '/api/tasks/a');
    expect(idsIn(await readFeedPage(readPage, await open(), FORM))).to.deep.equal(['b', 'c']);
    // This one gets the task, and its tombstone at the end.
    const listed: string[] = [];
    for (let feed = alsoBefore, hasMore = true; hasMore; ) {
      const page = await readFeedPage(readPage, feed, FORM);
      listed.push(...idsIn(page));
      ({ hasMore, next: feed } = page);
    }
    expect(listed).to.deep.equal(['a', 'b', 'c', 'd', 'e', 'f', 'a']);
  });

  it('what cannot be read is an error for all who asked, and is forgotten', async () => {
    const readNobody = () => readPage('nobody', start(0), FORM);
    const fault = (reading: Promise<Page>) => reading.then(String, (error: Error) => error.message);
    const wanted = 'workspace nobody does not exist';
    expect(await Promise.all([fault(readNobody()), fault(readNobody())])).to.deep.equal([wanted, wanted]);
    await system.database.select("INSERT INTO workspaces (id) VALUES ('nobody') RETURNING id", []);
    expect((await readNobody()).count).to.equal(0);
  });
});
