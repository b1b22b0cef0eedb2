import { expect } from 'chai';
import fc from 'fast-check';
import {
  type AcceptedOperation,
  CONFLICT_STRATEGIES,
  foldOperations,
  mergeOperation,
  type Outcome,
} from '../../src/sync/merge.js';
import { type Task, versionOf } from '../../src/sync/task.js';
import { compareVersions } from '../../src/sync/version.js';
import { at, foldInBatches, NOW, operation, operations, split, task } from '../support/merge.js';

describe('merge: one operation (DESIGN 3)', () => {
  const live = task();
  const tombstone = task({ deleted: true });
  const newer = at(20);
  const older = at(5);

  const cases: [
    what: string,
    current: Task | undefined,
    sent: Partial<AcceptedOperation>,
    Outcome,
    Partial<Task> | 'unchanged',
  ][] = [
    [
      'create of a new id inserts',
      undefined,
      { kind: 'create', fields: { title: 'New' } },
      'success',
      {
        title: 'New',
        description: null,
        completed: false,
        deleted: false,
        createdAt: newer,
        updatedAt: newer,
        updatedBy: 'laptop',
        opId: 'o1',
      },
    ],
    [
      'create of a new id keeps all it gives',
      undefined,
      { kind: 'create', fields: { title: 'New', description: 'd', completed: true } },
      'success',
      { title: 'New', description: 'd', completed: true },
    ],
    [
      'create of an existing id, same version: exists',
      live,
      { kind: 'create', updatedAt: live.updatedAt, clientId: 'phone', opId: 'base' },
      'exists',
      'unchanged',
    ],
    [
      'create of an existing id, higher: as an update',
      live,
      { kind: 'create', fields: { title: 'New' } },
      'success',
      { title: 'New', description: 'two litres', createdAt: at(0) },
    ],
    ['create of an existing id, lower: conflict', live, { kind: 'create', updatedAt: older }, 'conflict', 'unchanged'],
    [
      "create of an id that is another task's server_id",
      undefined,
      { kind: 'create', isIdTaken: true },
      'conflict',
      'unchanged',
    ],
    ['update of an unknown id: not_found', undefined, {}, 'not_found', 'unchanged'],
    [
      'update, higher: sets what is given, leaves the rest',
      live,
      { fields: { completed: true } },
      'success',
      {
        title: 'Buy milk',
        description: 'two litres',
        completed: true,
        updatedAt: newer,
        updatedBy: 'laptop',
        opId: 'o1',
        createdAt: at(0),
      },
    ],
    [
      'update, higher: null empties the description',
      live,
      { fields: { description: null } },
      'success',
      { description: null },
    ],
    [
      'update that gives nothing, higher: still a write',
      live,
      { fields: {} },
      'success',
      { title: 'Buy milk', updatedAt: newer },
    ],
    ['update, lower: conflict', live, { updatedAt: older }, 'conflict', 'unchanged'],
    [
      'update, lower on another field: conflict under lww',
      live,
      { updatedAt: older, fields: { completed: true } },
      'conflict',
      'unchanged',
    ],
    [
      'update, same time, higher client: success',
      live,
      { updatedAt: at(10), clientId: 'tablet' },
      'success',
      { updatedBy: 'tablet' },
    ],
    [
      'update, same time, lower client: conflict',
      live,
      { updatedAt: at(10), clientId: 'laptop' },
      'conflict',
      'unchanged',
    ],
    [
      'update, same time and client, higher op: success',
      live,
      { updatedAt: at(10), clientId: 'phone', opId: 'c' },
      'success',
      { opId: 'c' },
    ],
    [
      'update, same time and client, lower op: conflict',
      live,
      { updatedAt: at(10), clientId: 'phone', opId: 'a' },
      'conflict',
      'unchanged',
    ],
    [
      'update met again: success without an effect',
      live,
      { updatedAt: at(10), clientId: 'phone', opId: 'base' },
      'success',
      'unchanged',
    ],
    ['delete of an unknown id: not_found', undefined, { kind: 'delete' }, 'not_found', 'unchanged'],
    [
      'delete, higher: a tombstone that keeps the fields',
      live,
      { kind: 'delete', fields: { title: 'ignored' } },
      'success',
      { deleted: true, title: 'Buy milk', updatedAt: newer },
    ],
    ['delete, lower: conflict', live, { kind: 'delete', updatedAt: older }, 'conflict', 'unchanged'],
    [
      'delete of a tombstone, higher: success',
      tombstone,
      { kind: 'delete' },
      'success',
      { deleted: true, updatedAt: newer },
    ],
    [
      'delete of a tombstone, lower: conflict',
      tombstone,
      { kind: 'delete', updatedAt: older },
      'conflict',
      'unchanged',
    ],
    [
      'update of a tombstone, higher: brings it back',
      tombstone,
      { fields: { completed: true } },
      'success',
      { deleted: false, completed: true, title: 'Buy milk' },
    ],
    ['update of a tombstone, lower: conflict', tombstone, { updatedAt: older }, 'conflict', 'unchanged'],
    [
      'create of a tombstone, higher: brings it back',
      tombstone,
      { kind: 'create', fields: { title: 'Again' } },
      'success',
      { deleted: false, title: 'Again' },
    ],
    [
      'create of a tombstone, lower: conflict',
      tombstone,
      { kind: 'create', updatedAt: older },
      'conflict',
      'unchanged',
    ],
  ];
  for (const [what, current, sent, outcome, expected] of cases) {
    it(what, () => {
      const result = mergeOperation(current, operation(sent));
      expect(result.outcome).to.equal(outcome);
      if (expected === 'unchanged') expect(result.changed).to.equal(undefined);
      else expect(result.changed).to.include(expected);
    });
  }
});

describe('merge: one operation on a stub', () => {
  const stub = task({ deleted: true, stub: true, title: '', description: null });
  const newer = at(20);
  const older = at(5);
  const gone = { outcome: 'conflict', code: 'deleted_remotely' };
  const cases: [what: string, sent: Partial<AcceptedOperation>, ReturnType<typeof mergeOperation> | object][] = [
    ['update, higher', { updatedAt: newer }, gone],
    ['update, lower', { updatedAt: older }, gone],
    ['delete, higher', { kind: 'delete', updatedAt: newer }, gone],
    ['delete, lower', { kind: 'delete', updatedAt: older }, gone],
    ['create, lower', { kind: 'create', updatedAt: older }, gone],
    ['create, same version', { kind: 'create', updatedAt: at(10), clientId: 'phone', opId: 'base' }, gone],
    [
      'delete met again: success without an effect',
      { kind: 'delete', updatedAt: at(10), clientId: 'phone', opId: 'base' },
      { outcome: 'success' },
    ],
  ];
  for (const [what, sent, expected] of cases) {
    it(what, () => expect(mergeOperation(stub, operation(sent))).to.deep.equal(expected));
  }

  it('create, higher: a new task that takes nothing over', () => {
    const { outcome, changed } = mergeOperation(stub, operation({ kind: 'create', fields: { title: 'Again' } }));
    expect(outcome).to.equal('success');
    expect(changed).to.deep.include({ title: 'Again', description: null, deleted: false, stub: false });
    expect(changed).to.include({ createdAt: newer, updatedAt: newer, opId: 'o1' });
  });

  it('folds to one new task under the old id, with the code of what came before it', () => {
    const kinds = [
      operation({ opId: 'a' }),
      operation({ opId: 'b', kind: 'create', fields: { title: 'Again' }, updatedAt: at(30) }),
      operation({ opId: 'c', fields: { completed: true }, updatedAt: at(40) }),
    ];
    const tasks = new Map([['t1', stub]]);
    const result = foldOperations({ tasks, operations: kinds, seq: 5, now: NOW, newServerId: () => 'other' });
    expect(result.settled.map(({ outcome, code, seq }) => [outcome, code, seq])).to.deep.equal([
      ['conflict', 'deleted_remotely', null],
      ['success', undefined, 6],
      ['success', undefined, 7],
    ]);
    expect(result.changed).to.have.length(1);
    expect(result.changed[0]).to.include({ title: 'Again', completed: true, createdAt: at(30), serverId: 'server-t1' });
  });
});

describe('merge: folding', () => {
  it('gives every effect the next seq and nothing else one (I3)', () => {
    const result = foldOperations({
      tasks: new Map([['t1', task({ seq: 7 })]]),
      operations: [
        operation({ opId: 'a', updatedAt: at(20) }),
        operation({ opId: 'b', updatedAt: at(5) }),
        operation({ opId: 'c', taskId: 'gone' }),
        operation({ opId: 'd', taskId: 't2', kind: 'create', fields: { title: 'Two' } }),
        operation({ opId: 'e', updatedAt: at(30), fields: { completed: true } }),
      ],
      seq: 40,
      now: NOW,
      newServerId: () => 'new-server-id',
    });
    expect(result.settled.map(({ outcome, seq }) => [outcome, seq])).to.deep.equal([
      ['success', 41],
      ['conflict', null],
      ['not_found', null],
      ['success', 42],
      ['success', 43],
    ]);
    expect(result.seq).to.equal(43);
    expect(
      result.changed.map(({ id, seq, title, completed, serverId }) => ({ id, seq, title, completed, serverId })),
    ).to.deep.equal([
      { id: 't1', seq: 43, title: 'Buy oat milk', completed: true, serverId: 'server-t1' },
      { id: 't2', seq: 42, title: 'Two', completed: false, serverId: 'new-server-id' },
    ]);
  });

  it('a conflict carries the version it lost to, also one of the same transaction; nothing else does', () => {
    const { settled } = foldOperations({
      tasks: new Map([
        ['t1', task()],
        ['t2', task({ id: 't2', deleted: true })],
      ]),
      operations: [
        operation({ opId: 'a', updatedAt: at(5) }),
        operation({ opId: 'b', updatedAt: at(20) }),
        operation({ opId: 'c', updatedAt: at(15) }),
        operation({ opId: 'd', taskId: 't2', kind: 'delete', updatedAt: at(5) }),
        operation({ opId: 'e', taskId: 'gone' }),
        operation({ opId: 'base', clientId: 'phone', taskId: 't2', kind: 'create', updatedAt: at(10) }),
      ],
      seq: 1,
      now: NOW,
      newServerId: () => 's',
    });
    const base = { clientId: 'phone', opId: 'base', updatedAt: at(10) };
    expect(settled.map(({ outcome, lostTo }) => [outcome, lostTo])).to.deep.equal([
      ['conflict', base],
      ['success', undefined],
      ['conflict', { clientId: 'laptop', opId: 'b', updatedAt: at(20) }],
      ['conflict', base],
      ['not_found', undefined],
      ['exists', undefined],
    ]);
  });

  it('leaves open what found no task because the create of it has failed (I5)', () => {
    const failedCreateId = 7;
    const fold = (current: Task[], sent: AcceptedOperation[]) =>
      foldOperations({
        tasks: new Map(current.map((each) => [each.id, each])),
        operations: sent,
        seq: 0,
        now: NOW,
        newServerId: () => 's',
      }).settled.map(({ dependsOn }) => dependsOn);
    const update = operation({ failedCreateId });
    const remove = operation({ kind: 'delete', failedCreateId });
    const stub = task({ deleted: true, stub: true });
    expect(fold([], [update, remove])).to.deep.equal([7, 7]);
    expect(fold([stub], [update, remove])).to.deep.equal([7, 7]);
    expect(fold([], [operation({ kind: 'create' }), update])).to.deep.equal([undefined, undefined]);
    expect(fold([task()], [update, remove])).to.deep.equal([undefined, undefined]);
    expect(fold([], [operation({})])).to.deep.equal([undefined]);
  });

  it('says which operation brought a deleted task back', () => {
    const { settled } = foldOperations({
      tasks: new Map([['t1', task({ deleted: true })]]),
      operations: [
        operation({ opId: 'a', updatedAt: at(11), kind: 'delete' }),
        operation({ opId: 'b', updatedAt: at(12) }),
        operation({ opId: 'c', updatedAt: at(13) }),
        operation({ opId: 'd', updatedAt: at(14), kind: 'delete' }),
        operation({ opId: 'e', updatedAt: at(15), kind: 'create' }),
        operation({ opId: 'f', taskId: 'new', kind: 'create', fields: { title: 'New' } }),
      ],
      seq: 1,
      now: NOW,
      newServerId: () => 's',
    });
    const back = settled.filter((each) => each.broughtBack).map(({ operation }) => operation.opId);
    expect(back).to.deep.equal(['b', 'e']);
  });

  it('does not change the tasks it was given', () => {
    const tasks = new Map([['t1', Object.freeze(task())]]);
    foldOperations({ tasks, operations: [operation()], seq: 1, now: NOW, newServerId: () => 's' });
    expect(tasks.get('t1')).to.deep.equal(task());
  });

  for (const strategy of CONFLICT_STRATEGIES) {
    it(`splitting a sequence into batches anywhere changes nothing (I4, ${strategy})`, () => {
      fc.assert(
        fc.property(operations, fc.array(fc.nat(40)), (list, cuts) => {
          const whole = foldInBatches([list], strategy);
          for (const batches of [split(list, cuts), list.map((each) => [each])]) {
            const other = foldInBatches(batches, strategy);
            expect([...other.tasks]).to.have.deep.members([...whole.tasks]);
            expect(other.settled).to.deep.equal(whole.settled);
            expect(other.seq).to.equal(whole.seq);
          }
        }),
      );
    });
  }

  it('sending any part of a sequence again changes no task and takes no seq (I2, I4)', () => {
    fc.assert(
      fc.property(operations, fc.infiniteStream(fc.boolean()), (list, coin) => {
        const once = foldInBatches([list]);
        const again = list.filter((each) => coin.next().value && isNoNewerThanItsTask(each, once.tasks));
        const twice = foldInBatches([list, again]);
        expect([...twice.tasks]).to.have.deep.members([...once.tasks]);
        expect(twice.seq).to.equal(once.seq);
      }),
    );
  });

  it('the winner of any two writes to a task is the higher version, whichever comes first (I4)', () => {
    fc.assert(
      fc.property(operations, (list) => {
        const creates = ['t1', 't2', 't3'].map((taskId) =>
          operation({
            kind: 'create',
            taskId,
            clientId: 'a',
            opId: `base-${taskId}`,
            updatedAt: '2025-01-01T00:00:00.000000Z',
          }),
        );
        const { tasks } = foldInBatches([creates, list]);
        for (const [id, result] of tasks) {
          const written = [...creates, ...list].filter((each) => each.taskId === id);
          const highest = written.reduce((best, each) => (compareVersions(each, best) > 0 ? each : best));
          expect(versionOf(result)).to.deep.equal({
            updatedAt: highest.updatedAt,
            clientId: highest.clientId,
            opId: highest.opId,
          });
          expect(result.deleted).to.equal(highest.kind === 'delete');
        }
      }),
    );
  });
});

/** A write that lost to the task's own version, or is it: what a resend of a settled operation always is, but for a not_found one. */
function isNoNewerThanItsTask(each: AcceptedOperation, tasks: ReadonlyMap<string, Task>): boolean {
  const current = tasks.get(each.taskId);
  return current === undefined || compareVersions(each, versionOf(current)) <= 0;
}
