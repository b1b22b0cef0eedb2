// I4 under strategy merge: the state of the tasks, versions included, is a function of the set of operations and not of their order. The
// expected state is computed the slow way: for each field the highest version among the operations that wrote it.
import { expect } from 'chai';
import fc from 'fast-check';
import type { AcceptedOperation } from '../../src/sync/merge.js';
import { FIELD_NAMES, type Task, versionOf, versionOfField } from '../../src/sync/task.js';
import { compareVersions, LOWEST_VERSION, type Version } from '../../src/sync/version.js';
import { at, foldInBatches, operation, operations, split, stateOf } from '../support/merge.js';

const TASK_IDS = ['t1', 't2', 't3'];
const CLIENTS = ['laptop', 'phone', 'tablet'];
const DEFAULTS = { title: '', description: null, completed: false };
const higher = (a: AcceptedOperation, b: AcceptedOperation) => (compareVersions(a, b) > 0 ? a : b);
const versionIn = ({ updatedAt, clientId, opId }: AcceptedOperation): Version => ({ updatedAt, clientId, opId });

/** What a set of operations makes of a task that one of them creates: no order anywhere. */
function specify(written: AcceptedOperation[]) {
  const last = written.reduce(higher);
  const creates = written.filter((each) => each.kind === 'create');
  const fields = Object.fromEntries(
    FIELD_NAMES.map((field) => {
      const writers = written.filter((each) => each.kind !== 'delete' && each.fields[field] !== undefined);
      const winner = writers.length === 0 ? undefined : writers.reduce(higher);
      const version = winner === undefined ? LOWEST_VERSION : versionIn(winner);
      return [field, { value: winner?.fields[field] ?? DEFAULTS[field], version }];
    }),
  );
  const createdAt = creates.map((each) => each.updatedAt).toSorted()[0];
  return { fields, deleted: last.kind === 'delete', own: versionIn(last), createdAt };
}

function inspect(task: Task) {
  const fields = Object.fromEntries(
    FIELD_NAMES.map((field) => [field, { value: task[field], version: versionOfField(task, field) }]),
  );
  return { fields, deleted: task.deleted, own: versionOf(task), createdAt: task.createdAt };
}

/** The same operations in an order of which `first` come first; some of them twice. */
function reorder(list: AcceptedOperation[], keys: number[], isFirst: (each: AcceptedOperation) => boolean) {
  const keyed = list.flatMap((each, index) => {
    const key = keys[index % keys.length] ?? 0;
    const once = { each, key: (key * (index + 7)) % 101 };
    return key % 3 === 0 ? [once, { each, key: (key * 31) % 103 }] : [once];
  });
  const sorted = keyed.toSorted((a, b) => a.key - b.key).map(({ each }) => each);
  return [...sorted.filter(isFirst), ...sorted.filter((each) => !isFirst(each))];
}

const keys = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 60 });
const cuts = fc.array(fc.nat(60));
const creates = fc
  .array(fc.record({ taskId: fc.constantFrom(...TASK_IDS), minute: fc.nat(12), description: fc.option(fc.string()) }))
  .map((more) =>
    [...TASK_IDS.map((taskId) => ({ taskId, minute: 6, description: null })), ...more].map((each, index) =>
      operation({
        kind: 'create',
        taskId: each.taskId,
        clientId: CLIENTS[index % CLIENTS.length] ?? '',
        opId: `create-${index}`,
        updatedAt: at(each.minute),
        fields: { title: `Title ${index}`, ...(each.description === null ? {} : { description: each.description }) },
      }),
    ),
  );

/** Interleaves the devices' operations; each one's own order is kept. */
function interleave(list: AcceptedOperation[], order: number[]): AcceptedOperation[] {
  const queues = CLIENTS.map((clientId) => list.filter((each) => each.clientId === clientId));
  const result: AcceptedOperation[] = [];
  for (let turn = 0; result.length < list.length; turn += 1) {
    const waiting = queues.filter((queue) => queue.length > 0);
    const next = waiting[(order[turn % order.length] ?? 0) % waiting.length]?.shift();
    if (next !== undefined) result.push(next);
  }
  return result;
}

describe('merge: convergence per field (I4)', () => {
  it('creates first: any order, with repeats and cut anywhere, gives what the set of operations says', () => {
    fc.assert(
      fc.property(creates, operations, keys, cuts, (made, list, order, places) => {
        const all = [...made, ...list];
        const isCreate = (each: AcceptedOperation) => each.opId.startsWith('create-');
        const { tasks } = foldInBatches(split(reorder(all, order, isCreate), places), 'merge');
        expect([...tasks.keys()]).to.have.members(TASK_IDS);
        for (const task of tasks.values()) {
          expect(inspect(task)).to.deep.equal(specify(all.filter((each) => each.taskId === task.id)));
        }
        expect(stateOf(tasks)).to.deep.equal(stateOf(foldInBatches([all], 'merge').tasks));
      }),
      { numRuns: 300 },
    );
  });

  it("each device's own order kept, each knowing the tasks it edits: any interleaving gives the same state", () => {
    const ownCreates = CLIENTS.flatMap((clientId, index) =>
      TASK_IDS.map((taskId) =>
        operation({
          kind: 'create',
          taskId,
          clientId,
          opId: `own-${clientId}-${taskId}`,
          updatedAt: at(index),
          fields: { title: `By ${clientId}` },
        }),
      ),
    );
    fc.assert(
      fc.property(operations, keys, keys, (list, one, other) => {
        const all = [...ownCreates, ...list];
        const first = foldInBatches([interleave(all, one)], 'merge');
        const second = foldInBatches([interleave(all, other)], 'merge');
        expect(stateOf(first.tasks)).to.deep.equal(stateOf(second.tasks));
        for (const task of first.tasks.values()) {
          expect(inspect(task)).to.deep.equal(specify(all.filter((each) => each.taskId === task.id)));
        }
      }),
    );
  });

  it('after years under lww, or with some, the order of what follows under merge does not matter', () => {
    fc.assert(
      fc.property(creates, operations, operations, keys, cuts, (made, before, after, order, places) => {
        const start = foldInBatches([[...made, ...before]], 'lww').tasks;
        const later = after.map((each) => ({ ...each, opId: `later-${each.opId}` }));
        const inOrder = foldInBatches([later], 'merge', start);
        const shuffled = foldInBatches(
          split(
            reorder(later, order, () => false),
            places,
          ),
          'merge',
          start,
        );
        expect(stateOf(shuffled.tasks)).to.deep.equal(stateOf(inOrder.tasks));
        const back = foldInBatches([[operation({ clientId: 'zzz', updatedAt: at(59) })]], 'lww', inOrder.tasks);
        expect(back.settled.map(({ outcome }) => outcome)).to.deep.equal(['success']);
        expect(back.tasks.get('t1')?.fieldVersions).to.equal(null);
      }),
    );
  });

  it('sending again whatever found its task changes nothing and takes no seq (I2)', () => {
    fc.assert(
      fc.property(creates, operations, fc.infiniteStream(fc.boolean()), (made, list, coin) => {
        const once = foldInBatches([[...made, ...list]], 'merge');
        const again = [...made, ...list].filter(() => coin.next().value);
        const twice = foldInBatches([[...made, ...list], again], 'merge');
        expect([...twice.tasks]).to.have.deep.members([...once.tasks]);
        expect(twice.seq).to.equal(once.seq);
      }),
    );
  });

  it('the outcome says what happened: success changes the task, merged where both won, conflict leaves every field', () => {
    fc.assert(
      fc.property(creates, operations, (made, list) => {
        const start = foldInBatches([made], 'merge');
        let { tasks } = start;
        for (const each of list) {
          const before = tasks.get(each.taskId);
          const step = foldInBatches([[each]], 'merge', tasks);
          const [settled] = step.settled;
          const given = each.kind === 'delete' ? [] : FIELD_NAMES.filter((field) => each.fields[field] !== undefined);
          const after = step.tasks.get(each.taskId);
          if (before === undefined || after === undefined) throw new Error('the tasks exist');
          const won = given.filter((field) => compareVersions(versionOfField(after, field), each) === 0);
          if (settled?.outcome === 'conflict') {
            expect({ ...inspect(after), createdAt: '' }).to.deep.equal({ ...inspect(before), createdAt: '' });
          } else {
            expect(settled?.outcome).to.equal('success');
            expect(settled?.seq).to.be.a('number');
            expect(won.length > 0 || compareVersions(versionOf(after), each) === 0).to.equal(true);
          }
          const applied = Object.entries(settled?.fields ?? {}).filter(([, what]) => what === 'applied');
          if (settled?.fields !== undefined) expect(applied.map(([field]) => field)).to.deep.equal(won);
          else if (settled?.outcome === 'success') expect(won).to.deep.equal(given);
          tasks = step.tasks;
        }
      }),
    );
  });
});
