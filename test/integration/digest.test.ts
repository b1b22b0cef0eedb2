// The digest: a client verifies its copy, finds what differs, and fetches only that again.
import { expect } from 'chai';
import { bucketOf, digestOf, type ShownTask } from '../support/digest.js';
import { createItem, deleteItem, newId, updateItem } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';

const COUNT = 600;

describe('the digest', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
    const ids = Array.from({ length: COUNT }, () => newId('Aufgabe ü'));
    await system.push(
      ids.map((id, index) => createItem(id, index % 2 === 0 ? {} : { updated_at: '0999-01-01T10:30:00.5+02:00' })),
    );
    await system.push(ids.slice(0, 50).map((id) => deleteItem(id)));
    await system.push(ids.slice(50, 100).map((id) => updateItem(id, { completed: true })));
  });
  after(() => system.stop());

  const readDigest = async () => (await system.request('GET', '/api/sync/digest')).body;
  const bootstrap = async (): Promise<Map<string, ShownTask>> => {
    const { body } = await system.request('GET', '/api/sync/changes?limit=5000');
    return new Map(body.changes.map((task: ShownTask) => [task.id, task]));
  };
  const differing = (mine: string[], theirs: string[]) =>
    theirs.flatMap((sum, bucket) => (mine[bucket] === sum ? [] : [bucket]));
  /** Reads a bucket page by page. */
  const readBucket = async (bucket: number, limit: number) => {
    const tasks: ShownTask[] = [];
    for (let cursor = '', hasMore = true; hasMore; ) {
      const { body } = await system.request('GET', `/api/sync/changes?bucket=${bucket}&limit=${limit}${cursor}`);
      tasks.push(...body.changes);
      cursor = `&cursor=${body.cursor}`;
      hasMore = body.has_more;
    }
    return tasks;
  };

  it('is what a client computes over its copy', async () => {
    const copy = await bootstrap();
    expect(copy.size).to.equal(COUNT - 50);
    const digest = await readDigest();
    expect(digest).to.have.all.keys('buckets', 'cursor', 'server_time');
    expect(digest.buckets).to.deep.equal(digestOf(copy.values()));
  });

  it('belongs to its cursor: what is written afterwards follows from there', async () => {
    const before = await readDigest();
    const copy = await bootstrap();
    const [id = ''] = copy.keys();
    await system.push([updateItem(id, { title: 'Changed' }), createItem('new'), deleteItem([...copy.keys()][1] ?? '')]);
    const after = await readDigest();
    expect(after.buckets).to.not.deep.equal(before.buckets);
    const { body } = await system.request('GET', `/api/sync/changes?cursor=${before.cursor}`);
    for (const task of body.changes) {
      if (task.deleted) copy.delete(task.id);
      else copy.set(task.id, task);
    }
    expect(digestOf(copy.values())).to.deep.equal(after.buckets);
    expect(body.cursor).to.equal(after.cursor);
  });

  it('lets a client whose copy is damaged repair just what differs', async () => {
    const truth = await bootstrap();
    const copy = new Map(truth);
    const [changed, lost, other] = [...truth.values()].slice(10, 13);
    if (changed === undefined || lost === undefined || other === undefined) throw new Error('there are tasks');
    copy.set(changed.id, { ...changed, seq: changed.seq - 1 });
    copy.delete(lost.id);
    copy.set('never-was', { ...other, id: 'never-was' });
    const expected = [...new Set([changed.id, lost.id, 'never-was'].map(bucketOf))].sort((a, b) => a - b);

    const { buckets } = await readDigest();
    const broken = differing(digestOf(copy.values()), buckets);
    expect(broken).to.deep.equal(expected);
    for (const bucket of broken) {
      const listed = await readBucket(bucket, 1);
      expect(listed.every((task) => bucketOf(task.id) === bucket)).to.equal(true);
      for (const id of copy.keys()) if (bucketOf(id) === bucket) copy.delete(id);
      for (const task of listed) copy.set(task.id, task);
    }
    expect(differing(digestOf(copy.values()), buckets)).to.deep.equal([]);
    expect([...copy.values()]).to.have.deep.members([...truth.values()]);
  });

  it('gives all buckets together exactly the live tasks, also as lines', async () => {
    const truth = await bootstrap();
    const all = await Promise.all([0, 1, 2, 3].map((quarter) => readQuarter(quarter)));
    expect(all.flat()).to.have.deep.members([...truth.values()]);
  });
  const readQuarter = async (quarter: number) => {
    const tasks: ShownTask[] = [];
    for (let bucket = quarter * 64; bucket < quarter * 64 + 64; bucket += 1) {
      const headers = { accept: 'application/x-ndjson', connection: 'close' };
      const response = await fetch(`${system.url}/api/sync/changes?bucket=${bucket}`, { headers });
      const lines = (await response.text()).trimEnd().split('\n');
      tasks.push(...lines.slice(0, -1).map((line) => JSON.parse(line)));
    }
    return tasks;
  };

  it('does not take the cursor of a bucket for that of the feed or of another bucket', async () => {
    const { cursor } = (await system.request('GET', '/api/sync/changes?bucket=7')).body;
    expect((await system.request('GET', `/api/sync/changes?bucket=7&cursor=${cursor}`)).status).to.equal(200);
    for (const query of [`cursor=${cursor}`, `bucket=8&cursor=${cursor}`]) {
      const answer = await system.request('GET', `/api/sync/changes?${query}`);
      expect([answer.status, answer.body.code]).to.deep.equal([410, 'cursor_expired']);
    }
  });

  for (const query of [
    'bucket=256',
    'bucket=-1',
    'bucket=1.5',
    'bucket=x',
    'bucket=',
    'bucket=1&bucket=2',
    'bucket=1&wait=1',
  ]) {
    it(`refuses ?${query}`, async () => {
      expect((await system.request('GET', `/api/sync/changes?${query}`)).status).to.equal(400);
    });
  }
});
