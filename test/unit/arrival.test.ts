// I4, exactly as docs/protocol.md says it: what depends on the order of arrival under lww, and what does not. Under merge nothing does
// (mergeConvergence.test.ts).
import { expect } from 'chai';
import fc from 'fast-check';
import { type AcceptedOperation, CONFLICT_STRATEGIES, type ConflictStrategy } from '../../src/sync/merge.js';
import { FIELD_NAMES, type Task, versionOf } from '../../src/sync/task.js';
import { compareVersions } from '../../src/sync/version.js';
import { at, foldInBatches, operation, operations, split } from '../support/merge.js';
import { shuffle } from '../support/operations.js';

const create = operation({
  kind: 'create',
  clientId: 'server',
  opId: 'create',
  updatedAt: at(0),
  fields: { title: 'A' },
});
const cuts = fc.array(fc.nat(60));
const given = ({ kind, fields }: AcceptedOperation) => (kind === 'delete' ? {} : fields);

function taskAfter(arrived: AcceptedOperation[], strategy: ConflictStrategy, at: number[] = []): Task {
  const task = foldInBatches(split(arrived, at), strategy).tasks.get('t1');
  if (task === undefined) throw new Error('there is no task');
  return task;
}

/** On one task that is there; some come twice. */
const onOneTask = operations.map((list) =>
  list.flatMap((each, index) => {
    const once = { ...each, taskId: 't1' };
    return index % 4 === 0 ? [once, once] : [once];
  }),
);

describe('the order of arrival under lww (I4)', () => {
  it('does not decide which write wins, what that write gives, and whether the task is deleted', () => {
    fc.assert(
      fc.property(onOneTask, fc.nat(1_000), cuts, (list, seed, places) => {
        const task = taskAfter([create, ...shuffle(list, seed)], 'lww', places);
        const winner = [create, ...list].toSorted(compareVersions).at(-1) ?? create;
        expect(compareVersions(versionOf(task), winner)).to.equal(0);
        expect(task).to.include({ deleted: winner.kind === 'delete', ...given(winner) });
      }),
    );
  });

  it('decides a field that the winner does not give: it has what the last write gave it that was the highest when it arrived', () => {
    fc.assert(
      fc.property(onOneTask, fc.nat(1_000), cuts, (list, seed, places) => {
        const arrived = [create, ...shuffle(list, seed)];
        const leaders = arrived.filter((each, index) =>
          arrived.slice(0, index).every((before) => compareVersions(each, before) > 0),
        );
        const kept = Object.assign({ description: null, completed: false }, ...leaders.map(given));
        const task = taskAfter(arrived, 'lww', places);
        for (const field of FIELD_NAMES) expect(task[field], field).to.equal(kept[field]);
        expect(task.createdAt).to.equal(create.updatedAt);
      }),
    );
  });

  const describeIt = operation({ opId: 'o1', updatedAt: at(10), fields: { description: 'x' } });
  const rename = operation({ opId: 'o2', updatedAt: at(20), fields: { title: 'B' } });
  for (const strategy of CONFLICT_STRATEGIES) {
    it(`gives what the worked example says under ${strategy}`, () => {
      const inOrder = taskAfter([create, describeIt, rename], strategy);
      const turned = taskAfter([create, rename, describeIt], strategy);
      expect(inOrder).to.include({ title: 'B', description: 'x', opId: 'o2' });
      expect(turned).to.include({ title: 'B', description: strategy === 'lww' ? null : 'x', opId: 'o2' });
    });
  }
});
