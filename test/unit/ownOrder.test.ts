// I4: of two operations of one client on one task the one that was sent later is later, unless the device says otherwise; and the winner does
// not depend on when the operations of other clients arrive.
import { expect } from 'chai';
import fc from 'fast-check';
import { type AcceptedOperation, CONFLICT_STRATEGIES, type ConflictStrategy } from '../../src/sync/merge.js';
import { createOwnOrder, type EarlierOperation } from '../../src/sync/ownOrder.js';
import { type Task, versionOf } from '../../src/sync/task.js';
import { compareVersions } from '../../src/sync/version.js';
import { at, foldInBatches, operation, split, stateOf } from '../support/merge.js';

const T = at(20);
const behind = (micros: number) => T.replace('000000Z', `${String(micros).padStart(6, '0')}Z`);

describe('the order of one client', () => {
  const earlier = (updatedAt: string, writtenAt: string | null = updatedAt): EarlierOperation => ({
    updatedAt,
    writtenAt,
  });
  const cases: [
    what: string,
    written: string | null,
    effective: string,
    before: EarlierOperation[],
    expected: string,
  ][] = [
    ['nothing before it', T, T, [], T],
    ['an older one before it', T, T, [earlier(at(19))], T],
    ['one of the same time', T, T, [earlier(T)], behind(1)],
    ['one of the same time, in another form', '2026-01-01T11:20:00+01:00', T, [earlier(T)], behind(1)],
    ['several of the same time', T, T, [earlier(behind(2), T), earlier(T), earlier(behind(1), T)], behind(3)],
    ['one that was made later', T, T, [earlier(at(21))], T],
    ['one of the same time, shifted less', at(50), T, [earlier(at(21), at(50))], at(21).replace('000000Z', '000001Z')],
    ['one without a time, of a server whose clock is ahead', null, T, [earlier(behind(5), null)], behind(6)],
    ['one without a time, itself with one', T, T, [earlier(behind(5), null)], T],
    ['one with a time, itself without', null, T, [earlier(behind(5))], behind(6)],
  ];
  for (const [what, writtenAt, updatedAt, sentBefore, expected] of cases) {
    it(`places an operation: ${what}`, () => {
      const sent = operation({ writtenAt, updatedAt, sentBefore });
      expect(createOwnOrder().place(sent).updatedAt).to.equal(expected);
    });
  }

  it('is that of one client and one task, and of what a device wrote', () => {
    const order = createOwnOrder();
    order.add(operation({ writtenAt: T }));
    expect(order.place(operation({ writtenAt: T, clientId: 'phone' })).updatedAt).to.equal(T);
    expect(order.place(operation({ writtenAt: T, taskId: 't2' })).updatedAt).to.equal(T);
    expect(order.place(operation()).updatedAt).to.equal(T);
    expect(order.place(operation({ writtenAt: T })).updatedAt).to.equal(behind(1));
  });
});

const CLIENTS = ['laptop', 'phone', 'tablet'];

/** Operations of one second and the next, in the order in which each client sends them; random ids, so that these decide nothing. */
const ticking: fc.Arbitrary<AcceptedOperation[]> = fc
  .array(
    fc.record({
      kind: fc.constantFrom('create' as const, 'update' as const, 'update' as const, 'delete' as const),
      clientId: fc.constantFrom(...CLIENTS),
      updatedAt: fc.constantFrom(at(1), at(1), at(1), at(2)),
      opId: fc.uuid(),
      fields: fc.record(
        { title: fc.string({ maxLength: 3 }), description: fc.option(fc.string({ maxLength: 3 })) },
        { requiredKeys: [] },
      ),
    }),
    { maxLength: 30 },
  )
  .map((list) => {
    const first = operation({
      kind: 'create',
      clientId: 'server',
      opId: 'first',
      updatedAt: at(0),
      fields: { title: 'First' },
    });
    // A device's clock does not go back.
    const sorted = list.toSorted((a, b) => (a.updatedAt < b.updatedAt ? -1 : a.updatedAt > b.updatedAt ? 1 : 0));
    return [first, ...sorted.map((each) => operation({ ...each, taskId: 't1', writtenAt: each.updatedAt }))];
  });

/** Interleaves the clients' operations; each one's own order is kept. */
function interleave([first, ...list]: AcceptedOperation[], order: number[]): AcceptedOperation[] {
  const queues = CLIENTS.map((clientId) => list.filter((each) => each.clientId === clientId));
  const result = first === undefined ? [] : [first];
  for (let turn = 0; result.length <= list.length && queues.some((queue) => queue.length > 0); turn += 1) {
    const waiting = queues.filter((queue) => queue.length > 0);
    const next = waiting[(order[turn % order.length] ?? 0) % waiting.length]?.shift();
    if (next !== undefined) result.push(next);
  }
  return result;
}

/** Folds batch after batch, each with what the log knows of those before it and would tell: see pendingRows.ts. */
function foldWithLog(batches: AcceptedOperation[][], strategy: ConflictStrategy) {
  let tasks: ReadonlyMap<string, Task> = new Map();
  const log: AcceptedOperation[] = [];
  for (const batch of batches) {
    const known = batch.map((sent) => {
      const task = tasks.get(sent.taskId);
      if (task === undefined || task.updatedAt < sent.updatedAt) return sent;
      const own = log.filter((each) => each.clientId === sent.clientId && each.updatedAt >= sent.updatedAt);
      return { ...sent, sentBefore: own.map(({ updatedAt, writtenAt = null }) => ({ updatedAt, writtenAt })) };
    });
    const folded = foldInBatches([known], strategy, tasks);
    tasks = folded.tasks;
    log.push(...folded.settled.map((each) => each.operation));
  }
  return { tasks, log };
}

const orders = fc.array(fc.nat(20), { minLength: 1, maxLength: 30 });
const cuts = fc.array(fc.nat(30));

describe('ties within one client (I4)', () => {
  for (const strategy of CONFLICT_STRATEGIES) {
    it(`the winner and all effective times are the same however clients interleave and batches are cut (${strategy})`, () => {
      fc.assert(
        fc.property(ticking, orders, orders, cuts, cuts, (sent, one, other, oneCuts, otherCuts) => {
          const fold = (order: number[], at: number[]) => foldWithLog(split(interleave(sent, order), at), strategy);
          const [a, b] = [fold(one, oneCuts), fold(other, otherCuts)];
          const times = ({ log }: typeof a) => log.map(({ opId, updatedAt }) => `${opId} ${updatedAt}`).toSorted();
          expect(times(a)).to.deep.equal(times(b));
          const winner = ({ tasks }: typeof a) => [...tasks.values()].map((task) => [versionOf(task), task.deleted]);
          expect(winner(a)).to.deep.equal(winner(b));
          if (strategy === 'merge') expect(stateOf(a.tasks)).to.deep.equal(stateOf(b.tasks));
          for (const clientId of CLIENTS) {
            const own = a.log.filter((each) => each.clientId === clientId);
            expect(own.toSorted(compareVersions)).to.deep.equal(own);
          }
        }),
      );
    });
  }
});
