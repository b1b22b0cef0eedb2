// What the benchmark's devices send: if it were not what it says, the numbers would be about something else.
import { expect } from 'chai';
import { createDevice } from '../../bench/generator/devices.js';
import { createMarkerCount } from '../../bench/generator/markerCount.js';
import { createStream, type Operation } from '../../bench/generator/operations.js';

const ids = Array.from({ length: 120 }, (_, index) => `task-${index}`);
const taken = (stream: ReturnType<typeof createStream>, batches: number, size: number) =>
  Array.from({ length: batches }, () => stream.next(size));

describe('operations of the benchmark', () => {
  for (const size of [1, 10, 50]) {
    it(`are 20 % creates, 55 % updates, 10 % late updates, 5 % deletes and 10 % resends on a mixed day of ${size} at a time`, () => {
      const [first = [], ...rest] = taken(createStream('a', 'mixed', ids), 2_000 / size + 1, size);
      // The first batch has nothing to send again.
      expect(first.filter(({ isResend }) => isResend)).to.have.length(0);
      const operations = rest.flat();
      const share = (test: (operation: Operation) => boolean) => operations.filter(test).length / operations.length;
      expect(share(({ isResend }) => isResend)).to.be.closeTo(0.1, 0.01);
      const fresh = (test: (operation: Operation) => boolean) => share((each) => !each.isResend && test(each));
      expect(fresh(({ kind }) => kind === 'create')).to.be.closeTo(0.2, 0.01);
      expect(fresh(({ isStale }) => isStale)).to.be.closeTo(0.1, 0.01);
      expect(fresh(({ kind }) => kind === 'delete')).to.be.closeTo(0.05, 0.01);
    });
  }

  it('never touch a task twice in a batch, and have ids of their own unless they are resends', () => {
    const seen = new Set<string>();
    for (const batch of taken(createStream('a', 'mixed', ids), 20, 50)) {
      const fresh = batch.filter(({ isResend }) => !isResend);
      expect(new Set(fresh.map(({ taskId }) => taskId)).size).to.equal(fresh.length);
      for (const { opId } of fresh) expect(seen.has(opId)).to.equal(false);
      for (const { opId, isResend } of batch) {
        if (isResend) expect(seen.has(opId)).to.equal(true);
        seen.add(opId);
      }
    }
  });

  it('reach every task', () => {
    const touched = taken(createStream('a', 'update', ids), 3, 40).flat();
    expect(new Set(touched.map(({ taskId }) => taskId)).size).to.equal(ids.length);
  });

  it('of the workload resend repeat the first batch for ever', () => {
    const [first = [], second = [], third = []] = taken(createStream('a', 'resend', ids), 3, 10);
    const opIds = (batch: Operation[]) => batch.map(({ opId }) => opId);
    expect(opIds(second)).to.deep.equal(opIds(first));
    expect(opIds(third)).to.deep.equal(opIds(first));
    expect(third.every(({ isResend }) => isResend)).to.equal(true);
  });

  it('have times in the past, the late ones far in it', () => {
    for (const { updatedAt, isStale } of createStream('a', 'mixed', ids).next(100)) {
      expect(updatedAt).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      expect(Date.parse(updatedAt)).to.be.at.most(Date.now());
      expect(updatedAt.startsWith('2020-')).to.equal(isStale);
    }
  });
});

describe('devices of the benchmark', () => {
  const bodyOf = (protocol: 'taskSync' | 'pouchdb' | 'rxdb', operations: Operation[]) =>
    JSON.parse(createDevice(protocol).write(operations).body ?? '');

  it('read the counts of an answer of ours, and what went wrong', () => {
    const device = createDevice('taskSync');
    const operations = createStream('a', 'update', ids).next(3);
    const answer = (pending: number, error: number) =>
      JSON.stringify({ status: 'completed', summary: { success: 3 - pending - error, error, pending } });
    expect(device.read(operations, answer(0, 0))).to.include({ settled: 3, pending: 0, errors: 0 });
    expect(device.read(operations, answer(2, 1))).to.include({ settled: 0, pending: 2, errors: 1 });
    expect(device.read(operations, '{}')).to.include({ settled: 0, errors: 3 });
  });

  it('of ours send what the protocol wants', () => {
    const [item] = bodyOf('taskSync', createStream('a', 'create', ids).next(1)).items;
    expect(item).to.include({ client_id: 'a', op_id: 'a-op-1', operation: 'create' });
    expect(item.data).to.have.all.keys('id', 'title', 'description', 'completed', 'updated_at');
  });

  it('of PouchDB carry the revision that the answer before gave, and an old one in a late update', () => {
    const device = createDevice('pouchdb');
    const stream = createStream('a', 'mixed', ids);
    const [made = []] = stream.preparation(ids.length);
    const revisions = made.map(({ taskId }) => ({ ok: true, id: taskId, rev: `1-${taskId}` }));
    device.write(made);
    expect(device.read(made, JSON.stringify(revisions))).to.include({ settled: ids.length });
    const operations = stream.next(20);
    const { docs } = JSON.parse(device.write(operations).body ?? '');
    for (const [index, { taskId, kind, isStale }] of operations.entries()) {
      const expected = kind === 'create' ? undefined : isStale ? `1-${'0'.repeat(32)}` : `1-${taskId}`;
      expect(docs[index]._rev).to.equal(expected);
      expect(docs[index]._deleted).to.equal(kind === 'delete' ? true : undefined);
    }
    const conflicts = operations.map(({ taskId }) => ({ id: taskId, error: 'conflict' }));
    expect(device.read(operations, JSON.stringify(conflicts))).to.include({ settled: 20, errors: 0 });
  });

  it('of RxDB carry the state that they replace, and learn from conflicts', () => {
    const device = createDevice('rxdb');
    const stream = createStream('a', 'update', ['task-1']);
    const [made = []] = stream.preparation(1);
    const [first] = JSON.parse(device.write(made).body ?? '');
    expect(first).to.not.have.property('assumedMasterState');
    device.read(made, '[]');
    const [second] = JSON.parse(device.write(stream.next(1)).body ?? '');
    expect(second.assumedMasterState).to.deep.equal(first.newDocumentState);
    const masters = { ...second.newDocumentState, title: 'of somebody else' };
    device.read([], JSON.stringify([masters]));
    const [third] = JSON.parse(device.write(stream.next(1)).body ?? '');
    expect(third.assumedMasterState).to.deep.equal(masters);
  });
});

describe('rows of an answer', () => {
  it('are counted wherever the chunks are cut', () => {
    const text = Buffer.from('a"id"b"id""id"c'.repeat(7));
    for (let size = 1; size <= text.length; size += 1) {
      const count = createMarkerCount('"id"');
      let found = 0;
      for (let from = 0; from < text.length; from += size) found += count(text.subarray(from, from + size));
      expect(found, `chunks of ${size}`).to.equal(21);
    }
  });
});
