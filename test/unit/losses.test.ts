// To which write an operation lost each of its fields, as the fold writes it down. Told in sentences by explain.test.ts.
import { expect } from 'chai';
import type { FieldWinners } from '../../src/sync/losses.js';
import { type AcceptedOperation, type ConflictStrategy, foldOperations } from '../../src/sync/merge.js';
import { type Task, versionOf } from '../../src/sync/task.js';
import { LOWEST_VERSION, type Version } from '../../src/sync/version.js';
import { at, NOW, operation, task } from '../support/merge.js';

const version = (clientId: string, minute: number): Version => ({
  clientId,
  opId: `${clientId}-op`,
  updatedAt: at(minute),
});
const titled = version('tablet', 30);
const described = version('desk', 25);
const completed = version('watch', 40);

/** Three writes by three devices; the last one, of `completed`, is the task's own. */
const edited = task({
  updatedAt: completed.updatedAt,
  updatedBy: completed.clientId,
  opId: completed.opId,
  fieldVersions: { title: titled, description: described },
});
const tombstone = {
  ...edited,
  deleted: true,
  fieldVersions: { title: titled, description: described, completed: described },
};
const all = { title: 'T', description: 'd', completed: true };

interface Case {
  what: string;
  current: Task;
  sent: Partial<AcceptedOperation>;
  strategy?: ConflictStrategy;
  lostTo?: Version;
  fieldWinners?: FieldWinners;
}

const cases: Case[] = [
  {
    what: 'lww: a conflict lost to the task as a whole',
    current: edited,
    sent: { fields: { title: 'T' } },
    strategy: 'lww',
    lostTo: completed,
  },
  { what: 'lww: a success lost nothing', current: edited, sent: { updatedAt: at(50) }, strategy: 'lww' },
  {
    what: 'a conflict names the write that has its field, not the latest of the task',
    current: edited,
    sent: { fields: { title: 'T' } },
    lostTo: titled,
  },
  {
    what: 'a conflict in fields of different writes names each, and the highest',
    current: edited,
    sent: { fields: all },
    lostTo: completed,
    fieldWinners: { title: titled, description: described, completed },
  },
  {
    what: 'a success in one field names who kept the other',
    current: edited,
    sent: { updatedAt: at(28), fields: { title: 'T', description: 'd' } },
    lostTo: titled,
  },
  {
    what: 'a success in one field names both who kept the others',
    current: edited,
    sent: { updatedAt: at(28), fields: all },
    lostTo: completed,
    fieldWinners: { title: titled, completed },
  },
  { what: 'what wins everything lost nothing', current: edited, sent: { updatedAt: at(50), fields: all } },
  { what: 'what wins all that it gives lost nothing', current: edited, sent: { updatedAt: at(35) } },
  {
    what: 'a delete loses to the latest write',
    current: edited,
    sent: { kind: 'delete', fields: {} },
    lostTo: completed,
  },
  { what: 'an update without fields too', current: edited, sent: { fields: {} }, lostTo: completed },
  {
    what: 'an edit that goes into a tombstone lost to the delete',
    current: tombstone,
    sent: { updatedAt: at(35), fields: { title: 'T' } },
    lostTo: completed,
  },
  {
    what: 'an edit that goes nowhere lost to the edit, and to the delete',
    current: tombstone,
    sent: { fields: { title: 'T' } },
    lostTo: completed,
    fieldWinners: { title: titled, deleted: completed },
  },
  {
    what: 'a later delete of a tombstone',
    current: tombstone,
    sent: { kind: 'delete', fields: {} },
    lostTo: completed,
  },
  {
    what: 'after a write under lww every field is that write',
    current: { ...edited, fieldVersions: null },
    sent: { fields: all },
    lostTo: completed,
  },
  {
    what: 'what nobody has set loses to nobody',
    current: { ...edited, fieldVersions: { description: LOWEST_VERSION } },
    sent: { fields: { title: 'T', description: 'd' } },
    lostTo: completed,
  },
  { what: 'a precondition that failed lost to no version', current: edited, sent: { ifSeq: 77 } },
  { what: 'a stub is no version to lose to', current: { ...tombstone, stub: true }, sent: {} },
];

describe('losses', () => {
  for (const { what, current, sent, strategy = 'merge', ...losses } of cases) {
    it(what, () => {
      const { settled } = foldOperations({
        tasks: new Map([[current.id, current]]),
        operations: [operation(sent)],
        seq: 1,
        now: NOW,
        newServerId: () => 's',
        strategy,
      });
      const [{ lostTo, fieldWinners } = {}] = settled;
      expect({ lostTo, fieldWinners }).to.deep.equal({ lostTo: undefined, fieldWinners: undefined, ...losses });
    });
  }

  it('the same write again lost nothing', () => {
    const again = { clientId: titled.clientId, opId: titled.opId, updatedAt: titled.updatedAt, fields: all };
    const input = { seq: 1, now: NOW, newServerId: () => 's', strategy: 'merge' as const };
    const { settled } = foldOperations({ ...input, tasks: new Map([['t1', edited]]), operations: [operation(again)] });
    expect(settled[0]).to.include({ outcome: 'success', seq: null }).and.not.have.any.keys('lostTo', 'fieldWinners');
    expect(versionOf(edited)).to.deep.equal(completed);
  });
});
