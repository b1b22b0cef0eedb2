// Readers of the change feed that come at the same moment share what is read, and miss nothing by it (I6).
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { openFeed, readFeedPage } from '../../src/api/feed.js';
import { createReadPage, type Page, type ReadPage } from '../../src/api/sharedPages.js';
import { type System, startSystem } from '../support/system.js';

const WORKSPACE = 'default';
const FORM = { limit: 2, separator: ',', terminator: '' };
/** Longer than a page is kept. */
const LATER_MS = 1_000;

describe('pages of the change feed for several readers', () => {
  let system: System;
  let readPage: ReadPage;
  before(async () => {
    system = await startSystem(import.meta.url);
    readPage = createReadPage(system.database);
    for (const id of ['a', 'b', 'c', 'd', 'e']) await system.request('POST', '/api/tasks', { id, title: id });
  });
  after(() => system.stop());

  const read = (seq: number, liveUntil = 0) => readPage(WORKSPACE, { seq, liveUntil, bucket: undefined }, FORM);
  const idsIn = ({ bytes }: Pick<Page, 'bytes'>): string[] =>
    JSON.parse(`[${bytes}]`).map((task: { id: string }) => task.id);

  it('one read serves all who want the same full page, and those who come a moment later', async () => {
    const pages = await Promise.all([read(0), read(0), read(0)]);
    pages.push(await read(0));
    expect(idsIn(await read(0))).to.deep.equal(['a', 'b']);
    expect(new Set(pages.map(({ bytes }) => bytes)).size).to.equal(1);
    const [another, shorter] = [
      await read(1),
      await readPage(WORKSPACE, { seq: 0, liveUntil: 0, bucket: undefined }, { ...FORM, limit: 1 }),
    ];
    expect([idsIn(another), idsIn(shorter)]).to.deep.equal([['b', 'c'], ['a']]);
  });

  it('keeps none for long', async () => {
    const first = await read(0);
    await sleep(LATER_MS);
    expect((await read(0)).bytes).to.not.equal(first.bytes);
  });

  it('the end of the feed is read by everyone who asks, so that nobody is told of an end that has passed', async () => {
    const ends = await Promise.all([read(4), read(4)]);
    expect(ends.map(({ hasMore }) => hasMore)).to.deep.equal([false, false]);
    expect(ends[0]?.bytes).to.not.equal(ends[1]?.bytes);
    await system.request('POST', '/api/tasks', { id: 'f', title: 'f' });
    expect(idsIn(await read(4))).to.deep.equal(['e', 'f']);
  });

  it('a bootstrap does not get the page of one that began before a deletion, whose tombstone it will not see', async () => {
    const open = () => openFeed(system.database, WORKSPACE, undefined);
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
    const readNobody = () => readPage('nobody', { seq: 0, liveUntil: 0, bucket: undefined }, FORM);
    const fault = (reading: Promise<Page>) => reading.then(String, (error: Error) => error.message);
    const wanted = 'workspace nobody does not exist';
    expect(await Promise.all([fault(readNobody()), fault(readNobody())])).to.deep.equal([wanted, wanted]);
    await system.database.select("INSERT INTO workspaces (id) VALUES ('nobody') RETURNING id", []);
    expect((await readNobody()).count).to.equal(0);
  });
});
