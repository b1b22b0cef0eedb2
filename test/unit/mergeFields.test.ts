// Strategy merge, case by case; what must hold for all cases is in mergeConvergence.test.ts.
import { expect } from 'chai';
import { type AcceptedOperation, foldOperations, mergeOperation, type Outcome } from '../../src/sync/merge.js';
import type { FieldOutcomes } from '../../src/sync/mergeFields.js';
import type { Task } from '../../src/sync/task.js';
import { LOWEST_VERSION } from '../../src/sync/version.js';
import { at, NOW, operation, task } from '../support/merge.js';

const laptop = (minute: number, opId = 'o1') => ({ updatedAt: at(minute), clientId: 'laptop', opId });
const base = { updatedAt: at(10), clientId: 'phone', opId: 'base' };

/** Created at minute 10, completed set by the tablet at minute 30. */
const edited = task({
  completed: true,
  updatedAt: at(30),
  updatedBy: 'tablet',
  opId: 'done',
  fieldVersions: { title: base, description: base },
});
/** The same, deleted by the tablet at minute 30. */
const tombstone = task({
  deleted: true,
  updatedAt: at(30),
  updatedBy: 'tablet',
  opId: 'gone',
  fieldVersions: { title: base, description: base, completed: base },
});
const own30 = { updatedAt: at(30), updatedBy: 'tablet' };
const own20 = { updatedAt: at(20), updatedBy: 'laptop', opId: 'o1' };
const own40 = { updatedAt: at(40), updatedBy: 'laptop', opId: 'o1' };

interface Case {
  what: string;
  current: Task | undefined;
  sent: Partial<AcceptedOperation>;
  outcome: Outcome;
  fields?: FieldOutcomes;
  /** Absent: the operation has no effect. */
  changed?: Partial<Task>;
}

const cases: Case[] = [
  {
    what: 'create of a new id: what it leaves out gets the lowest version',
    current: undefined,
    sent: { kind: 'create', fields: { title: 'New' } },
    outcome: 'success',
    changed: {
      title: 'New',
      description: null,
      ...own20,
      fieldVersions: { description: LOWEST_VERSION, completed: LOWEST_VERSION },
    },
  },
  {
    what: 'create of a new id that gives everything: one version for all',
    current: undefined,
    sent: { kind: 'create', fields: { title: 'New', description: null, completed: false } },
    outcome: 'success',
    changed: { fieldVersions: null },
  },
  {
    what: 'an update older than the create sets what the create left out',
    current: task({ description: null, fieldVersions: { description: LOWEST_VERSION } }),
    sent: { updatedAt: at(5), fields: { description: 'd' } },
    outcome: 'success',
    changed: { description: 'd', updatedAt: at(10), fieldVersions: { description: laptop(5) } },
  },
  { what: 'update of an unknown id', current: undefined, sent: {}, outcome: 'not_found' },
  { what: 'delete of an unknown id', current: undefined, sent: { kind: 'delete' }, outcome: 'not_found' },
  {
    what: 'newest: wins everything it gives; the others keep their versions',
    current: task(),
    sent: { fields: { title: 'T' } },
    outcome: 'success',
    changed: { title: 'T', completed: false, ...own20, fieldVersions: { description: base, completed: base } },
  },
  {
    what: 'older than the task, newer in its field: applied, the task keeps its own version',
    current: edited,
    sent: { fields: { title: 'T' } },
    outcome: 'success',
    changed: { title: 'T', completed: true, ...own30, fieldVersions: { title: laptop(20), description: base } },
  },
  {
    what: 'newer in one field, older in another: merged',
    current: edited,
    sent: { fields: { title: 'T', completed: false } },
    outcome: 'success',
    fields: { title: 'applied', completed: 'kept_server' },
    changed: { title: 'T', completed: true, ...own30, fieldVersions: { title: laptop(20), description: base } },
  },
  {
    what: 'older in all its fields: conflict, whatever other fields have',
    current: edited,
    sent: { fields: { completed: false } },
    outcome: 'conflict',
  },
  { what: 'older and giving nothing: conflict', current: edited, sent: { fields: {} }, outcome: 'conflict' },
  {
    what: 'newest and giving nothing says that the task is alive: a write',
    current: edited,
    sent: { updatedAt: at(40), fields: {} },
    outcome: 'success',
    changed: {
      ...own40,
      fieldVersions: {
        title: base,
        description: base,
        completed: { updatedAt: at(30), clientId: 'tablet', opId: 'done' },
      },
    },
  },
  {
    what: 'the same time: the client decides, per field',
    current: task({ fieldVersions: { title: laptop(5) } }),
    sent: { updatedAt: at(10), clientId: 'laptop', fields: { title: 'T', completed: true } },
    outcome: 'success',
    fields: { title: 'applied', completed: 'kept_server' },
    changed: { title: 'T', completed: false, updatedBy: 'phone' },
  },
  {
    what: 'null empties the description by its own version',
    current: edited,
    sent: { fields: { description: null } },
    outcome: 'success',
    changed: { description: null, fieldVersions: { title: base, description: laptop(20) } },
  },
  {
    what: 'delete, newest: the fields keep their versions',
    current: task(),
    sent: { kind: 'delete', fields: { title: 'ignored' } },
    outcome: 'success',
    changed: {
      deleted: true,
      title: 'Buy milk',
      ...own20,
      fieldVersions: { title: base, description: base, completed: base },
    },
  },
  {
    what: 'delete older than the last edit of any field: conflict',
    current: edited,
    sent: { kind: 'delete' },
    outcome: 'conflict',
  },
  { what: 'delete of a tombstone, lower', current: tombstone, sent: { kind: 'delete' }, outcome: 'conflict' },
  {
    what: 'delete of a tombstone, higher',
    current: tombstone,
    sent: { kind: 'delete', updatedAt: at(40) },
    outcome: 'success',
    changed: { deleted: true, ...own40 },
  },
  {
    what: 'update older than the delete, newer than its field: kept in the tombstone',
    current: tombstone,
    sent: { fields: { title: 'T' } },
    outcome: 'success',
    fields: { title: 'applied', deleted: 'kept_server' },
    changed: { title: 'T', deleted: true, ...own30 },
  },
  {
    what: 'update older than the delete and than its field: conflict',
    current: tombstone,
    sent: { updatedAt: at(5), fields: { title: 'T' } },
    outcome: 'conflict',
  },
  {
    what: 'update newer than the delete brings it back',
    current: tombstone,
    sent: { updatedAt: at(40), fields: { completed: true } },
    outcome: 'success',
    changed: {
      deleted: false,
      completed: true,
      title: 'Buy milk',
      ...own40,
      fieldVersions: { title: base, description: base },
    },
  },
  {
    what: 'create of an existing id, newest: writes what it gives',
    current: edited,
    sent: { kind: 'create', updatedAt: at(40), fields: { title: 'Again' } },
    outcome: 'success',
    changed: { title: 'Again', description: 'two litres', completed: true, createdAt: at(0), ...own40 },
  },
  {
    what: 'create of an existing id, in between: merged',
    current: edited,
    sent: { kind: 'create', fields: { title: 'Again', completed: false } },
    outcome: 'success',
    fields: { title: 'applied', completed: 'kept_server' },
    changed: { title: 'Again', completed: true },
  },
  {
    what: 'create of an existing id, lower: conflict',
    current: task(),
    sent: { kind: 'create', updatedAt: at(5) },
    outcome: 'conflict',
  },
  {
    what: 'create older than the one that came first: conflict, and the task is as old as it',
    current: task({ createdAt: at(10) }),
    sent: { kind: 'create', updatedAt: at(5) },
    outcome: 'conflict',
    changed: { title: 'Buy milk', createdAt: at(5), updatedAt: at(10), fieldVersions: null },
  },
  {
    what: 'an update met again where it only shows in one field: success without an effect',
    current: task({ ...own30, fieldVersions: { title: laptop(20) } }),
    sent: {},
    outcome: 'success',
  },
  {
    what: 'a create met again where it only shows in one field: exists',
    current: task({ ...own30, fieldVersions: { title: laptop(20) } }),
    sent: { kind: 'create' },
    outcome: 'exists',
  },
  {
    what: 'a row written under lww: all fields have its version',
    current: task(),
    sent: { updatedAt: at(5), fields: { description: 'd' } },
    outcome: 'conflict',
  },
];

describe('merge: one operation, per field (DESIGN 3)', () => {
  for (const { what, current, sent, outcome, fields, changed } of cases) {
    it(what, () => {
      const result = mergeOperation(current, operation(sent), 'merge');
      expect(result.outcome).to.equal(outcome);
      expect(result.fields).to.deep.equal(fields);
      if (changed === undefined) expect(result.changed).to.equal(undefined);
      else expect(result.changed).to.deep.include(changed);
    });
  }

  it('a write under lww gives the whole task its version again', () => {
    const result = mergeOperation(edited, operation({ updatedAt: at(40) }), 'lww');
    expect(result.changed).to.deep.include({ ...own40, completed: true, fieldVersions: null });
  });

  it('every effect takes a seq, also one that only lifts a version', () => {
    const { settled, changed } = foldOperations({
      tasks: new Map([['t1', edited]]),
      operations: [
        operation({ opId: 'a', fields: { title: 'T', completed: false } }),
        operation({ opId: 'b', fields: { completed: false } }),
        operation({ opId: 'c', updatedAt: at(40), fields: {} }),
      ],
      seq: 7,
      now: NOW,
      newServerId: () => 's',
      strategy: 'merge',
    });
    expect(settled.map(({ outcome, seq, fields }) => [outcome, seq, fields])).to.deep.equal([
      ['success', 8, { title: 'applied', completed: 'kept_server' }],
      ['conflict', null, undefined],
      ['success', 9, undefined],
    ]);
    expect(changed.map(({ seq, title }) => [seq, title])).to.deep.equal([[9, 'T']]);
  });
});
