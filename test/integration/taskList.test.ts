// GET /api/tasks (DESIGN 5): order, pages followed to the end, filters, and cursors that are not ours.
import { expect } from 'chai';
import { expectInvalid, expectTask, nextPage } from '../support/contract.js';
import { canonical, createItem, deleteItem, type Item, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const NOW_MS = Date.parse('2027-03-01T12:00:00.000Z');
const COUNT = 120;
/** Tasks three by three share their time of creation: the id decides then. */
const createdAt = (n: number) => new Date(NOW_MS - 86_400_000 + Math.floor(n / 3) * 1_000).toISOString();
/** Every fourth was edited later, in the opposite order. */
const editedAt = (n: number) => new Date(NOW_MS - 3_600_000 - n * 1_000).toISOString();
const isEdited = (n: number) => n % 4 === 0;
const isDeleted = (n: number) => n % 10 === 9;
const idOf = (n: number) => `task-${String((n * 7) % COUNT).padStart(3, '0')}`;

interface Expected {
  id: string;
  created: string;
  updated: string;
  completed: boolean;
  deleted: boolean;
}

const everything: Expected[] = Array.from({ length: COUNT }, (_, n) => ({
  id: idOf(n),
  created: canonical(createdAt(n)),
  updated: canonical(isDeleted(n) || isEdited(n) ? editedAt(n) : createdAt(n)),
  completed: n % 2 === 0,
  deleted: isDeleted(n),
}));
const active = everything.filter((task) => !task.deleted);

const sortedIds = (tasks: Expected[], by: 'created' | 'updated', descending = false) => {
  const key = (task: Expected) => `${task[by]} ${task.id}`;
  const ids = tasks.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)).map((task) => task.id);
  return descending ? ids.reverse() : ids;
};

describe('GET /api/tasks', () => {
  let system: System;

  before(async () => {
    system = await withQueue(startSystem(import.meta.url, { nowMs: () => NOW_MS }));
    const items: Item[] = [];
    for (let n = 0; n < COUNT; n += 1) {
      items.push(createItem(idOf(n), { completed: n % 2 === 0, updated_at: createdAt(n) }));
      if (isDeleted(n)) items.push(deleteItem(idOf(n), { updated_at: editedAt(n) }));
      else if (isEdited(n)) items.push(updateItem(idOf(n), { title: 'edited', updated_at: editedAt(n) }));
    }
    const { status, body } = await system.push(items);
    expect(status).to.equal(200);
    expect(body.summary.success).to.equal(items.length);
  });
  after(() => system.stop());

  const idsAt = async (path: string) => {
    const answer = await system.request('GET', path);
    expect(answer.status, JSON.stringify(answer.body).slice(0, 500)).to.equal(200);
    expect(answer.body).to.be.an('array');
    answer.body.forEach(expectTask);
    return { ids: answer.body.map((task: { id: string }) => task.id) as string[], next: nextPage(answer, path) };
  };

  /** Every page of a list, by its Link headers. */
  const follow = async (path: string) => {
    const pages: string[][] = [];
    for (let next: string | undefined = path; next !== undefined; ) {
      const page: Awaited<ReturnType<typeof idsAt>> = await idsAt(next);
      pages.push(page.ids);
      next = page.next;
      expect(pages.length, 'the list ends').to.be.below(COUNT + 2);
    }
    return pages;
  };

  it('answers active tasks, oldest first, a hundred of them, with a link to the rest', async () => {
    const pages = await follow('/api/tasks');
    expect(pages.map((page) => page.length)).to.deep.equal([100, active.length - 100]);
    expect(pages.flat()).to.deep.equal(sortedIds(active, 'created'));
  });

  for (const [sort, by, descending] of [
    ['created_at', 'created', false],
    ['-created_at', 'created', true],
    ['updated_at', 'updated', false],
    ['-updated_at', 'updated', true],
  ] as const) {
    for (const limit of [1, 7, 54, active.length, 1000]) {
      it(`gives each task once, sorted by ${sort}, in pages of ${limit}`, async () => {
        const pages = await follow(`/api/tasks?sort=${sort}&limit=${limit}`);
        expect(pages.flat()).to.deep.equal(sortedIds(active, by, descending));
        expect(pages).to.have.lengthOf(Math.ceil(active.length / limit));
      });
    }
  }

  it('keeps the filters in its links', async () => {
    const since = editedAt(60);
    const wanted = everything.filter((task) => task.completed && task.updated >= canonical(since));
    expect(wanted, 'the filters leave several pages').to.have.lengthOf.above(6);
    const path = `/api/tasks?limit=2&completed=true&include_deleted=true&sort=-updated_at&updated_since=${since}`;
    expect((await follow(path)).flat()).to.deep.equal(sortedIds(wanted, 'updated', true));
  });

  it('filters by completed', async () => {
    for (const completed of [true, false]) {
      const wanted = active.filter((task) => task.completed === completed);
      const { ids } = await idsAt(`/api/tasks?completed=${completed}&limit=1000`);
      expect(ids).to.deep.equal(sortedIds(wanted, 'created'));
    }
  });

  it('includes deleted tasks only on demand', async () => {
    const withDeleted = await system.request('GET', '/api/tasks?include_deleted=true&limit=1000');
    expect(withDeleted.body.map((task: { id: string }) => task.id)).to.deep.equal(sortedIds(everything, 'created'));
    expect(withDeleted.body.filter((task: { deleted: boolean }) => task.deleted)).to.have.lengthOf(COUNT / 10);
    expect((await idsAt('/api/tasks?include_deleted=false&limit=1000')).ids).to.have.lengthOf(active.length);
  });

  it('takes updated_since with any offset, encoded or not, and includes that instant', async () => {
    const instant = editedAt(20);
    const wanted = sortedIds(
      active.filter((task) => task.updated >= canonical(instant)),
      'created',
    );
    expect(wanted).to.not.be.empty;
    const shifted = new Date(Date.parse(instant) + 7_200_000).toISOString().replace('Z', '');
    const basic = shifted.replace(/[-:]/g, '');
    const spaced = instant.replace('T', '%20').replace('Z', '');
    const local = [`${shifted}%2B02:00`, `${shifted}+02:00`, `${shifted}%2B0200`, `${shifted}+02`, `${basic}+0200`];
    for (const text of [instant, spaced, ...local]) {
      expect((await idsAt(`/api/tasks?limit=1000&updated_since=${text}`)).ids, text).to.deep.equal(wanted);
    }
    expect((await idsAt('/api/tasks?limit=1000&updated_since=2000-01-01')).ids).to.have.lengthOf(active.length);
    const later = instant.replace('Z', '001Z');
    const { ids } = await idsAt(`/api/tasks?limit=1000&updated_since=${later}`);
    expect(ids, 'a microsecond later').to.have.lengthOf(wanted.length - 1);
  });

  it('skips nothing and repeats nothing when tasks are added and deleted between pages', async () => {
    const first = await idsAt('/api/tasks?limit=50');
    const added = await system.request('POST', '/api/tasks', { title: 'added between two pages' });
    try {
      const rest: string[][] = await follow(first.next ?? '');
      expect([...first.ids, ...rest.flat()]).to.deep.equal([...sortedIds(active, 'created'), added.body.id]);
    } finally {
      await system.database.select('DELETE FROM tasks WHERE id = $1', [added.body.id]);
    }
  });

  const cursorOf = (place: unknown) => Buffer.from(JSON.stringify(place)).toString('base64url');
  const refused: [query: string, field: string][] = [
    ['limit=0', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['completed=maybe', 'completed'],
    ['completed=1', 'completed'],
    ['include_deleted=yes', 'include_deleted'],
    ['sort=title', 'sort'],
    ['sort=created_at;drop', 'sort'],
    ['updated_since=yesterday', 'updated_since'],
    ['updated_since=infinity', 'updated_since'],
    ['updated_since=2027-02-30T00:00:00Z', 'updated_since'],
    ['updated_since=2027-W05', 'updated_since'],
    ['cursor=', 'cursor'],
    ['cursor=nonsense', 'cursor'],
    ['cursor=%00', 'cursor'],
    ['cursor=a&cursor=b', 'cursor'],
    [`cursor=${cursorOf({})}`, 'cursor'],
    [`cursor=${cursorOf([1])}`, 'cursor'],
    [`cursor=${cursorOf(['created_at', 'infinity', 'x'])}`, 'cursor'],
    [`cursor=${cursorOf(['created_at', "2027-01-01T00:00:00.000000Z' OR 1=1", 'x'])}`, 'cursor'],
    [`cursor=${cursorOf(['created_at', '2027-01-01T00:00:00.000000Z', 'a\u0000'])}`, 'cursor'],
    [`cursor=${cursorOf(['created_at', '2027-01-01T00:00:00.000000Z', 7])}`, 'cursor'],
    [`sort=updated_at&cursor=${cursorOf(['created_at', '2027-01-01T00:00:00.000000Z', 'x'])}`, 'cursor'],
  ];
  for (const [query, field] of refused) {
    it(`answers 400 to ?${query}`, async () =>
      expectInvalid(await system.request('GET', `/api/tasks?${query}`), field));
  }
});
