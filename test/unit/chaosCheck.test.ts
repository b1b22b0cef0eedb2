// The check of the chaos suite finds what it is there to find: a right state passes, and each way of being wrong is named.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkState } from '../chaos/checkState.js';
import { createHistory } from '../chaos/history.js';
import type { LogRow, State, TaskRow } from '../chaos/readState.js';
import type { SentItem } from '../support/oracle.js';

const at = (second: number) => `2026-01-01T10:00:${String(second).padStart(2, '0')}.000000Z`;

describe('the check of the chaos suite', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'task-sync-check-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const items: SentItem[] = [
    { client_id: 'a', op_id: 'a1', operation: 'create', data: { id: 't', title: 'One', updated_at: at(1) } },
    { client_id: 'b', op_id: 'b1', operation: 'update', data: { id: 't', title: 'Two', updated_at: at(3) } },
    { client_id: 'a', op_id: 'a2', operation: 'update', data: { id: 't', title: 'Late', updated_at: at(2) } },
    { client_id: 'b', op_id: 'b2', operation: 'delete', data: { id: 'unknown', updated_at: at(4) } },
  ];
  const outcomes = ['success', 'success', 'conflict', 'not_found'];

  /** A run in which everything is right. */
  function rightRun() {
    const history = createHistory(join(folder, 'operations.jsonl'));
    for (const [index, item] of items.entries()) {
      const operation = history.make(item);
      history.invoke([operation], 'api');
      history.tell(operation, 'pending');
      history.tell(operation, outcomes[index] ?? '');
    }
    const log = items.map(
      (item, index): LogRow => ({
        id: index + 1,
        clientId: item.client_id,
        opId: item.op_id,
        taskId: item.data.id,
        operation: item.operation,
        data: { ...item.data },
        updatedAt: item.data.updated_at,
        status: 'synced',
        outcome: outcomes[index] ?? null,
        seq: index < 2 ? index + 1 : null,
        error: null,
        retryCount: 0,
        lostTo: index === 2 ? 'b\x01b1' : null,
      }),
    );
    const task: TaskRow = {
      id: 't',
      title: 'Two',
      description: null,
      completed: false,
      deleted: false,
      createdAt: at(1),
      updatedAt: at(3),
      updatedBy: 'b',
      opId: 'b1',
      seq: 2,
    };
    const state: State = { log, tasks: [task], seq: 2, synced: 4, batchesUnfinished: 0 };
    return { history, state, task };
  }

  it('passes a run in which everything is right', () => {
    const { history, state } = rightRun();
    expect(checkState(state, history)).to.deep.equal([]);
  });

  const wrongs: [string, RegExp, (run: ReturnType<typeof rightRun>) => void][] = [
    [
      'an acknowledged operation is lost',
      /log: a1 was acknowledged and is not stored/,
      ({ state }) => state.log.shift(),
    ],
    ['an operation is stored twice', /log: b2 is stored twice/, ({ state }) => state.log.push(...state.log.slice(-1))],
    ['an operation was never sent', /log: x was never sent/, ({ state }) => edit(state.log[3], { opId: 'x' })],
    ['content has changed', /log: a2 is not stored as it was sent/, ({ state }) => edit(state.log[2], { data: {} })],
    ['an operation is pending', /answers: a2 is pending/, ({ state }) => edit(state.log[2], { status: 'pending' })],
    ['an operation has failed', /answers: a2 is failed/, ({ state }) => edit(state.log[2], { status: 'failed' })],
    [
      'a device was told another outcome',
      /answers: .*told conflict, stored is success/,
      ({ state }) => edit(state.log[2], { outcome: 'success' }),
    ],
    [
      'a seq is left out',
      /effects: the effect number 2 \(b1\) has seq 3/,
      ({ state }) => edit(state.log[1], { seq: 3 }),
    ],
    [
      'an effect happened twice',
      /effects: seq of the workspace is 3, effects are 2/,
      ({ state }) => edit(state, { seq: 3 }),
    ],
    [
      'the counter is wrong',
      /effects: the counter synced is 5, settled are 4/,
      ({ state }) => edit(state, { synced: 5 }),
    ],
    ['a task is not what the merge says', /effects: task t is .*Other/, ({ task }) => edit(task, { title: 'Other' })],
    ['a task is missing', /effects: there are 0 tasks, by the rules 1/, ({ state }) => state.tasks.pop()],
    [
      'a conflict lost to nothing',
      /outcomes: a2 is a conflict, but did not lose/,
      ({ state }) => edit(state.log[2], { lostTo: 'a\x01a1' }),
    ],
    [
      'a lower version shows',
      /winners: task t shows a1, the highest version is b1/,
      ({ task }) => edit(task, { opId: 'a1', updatedBy: 'a', updatedAt: at(1) }),
    ],
    [
      'a task was not found though it was there',
      /outcomes: a2 is not_found, though a1/,
      ({ state }) => edit(state.log[2], { outcome: 'not_found', lostTo: null }),
    ],
    [
      'a batch is not finished',
      /batches: 1 batches are not finished/,
      ({ state }) => edit(state, { batchesUnfinished: 1 }),
    ],
  ];
  for (const [what, pattern, spoil] of wrongs) {
    it(`finds that ${what}`, () => {
      const run = rightRun();
      spoil(run);
      expect(checkState(run.state, run.history).join('\n')).to.match(pattern);
    });
  }
});

function edit<Target extends object>(target: Target | undefined, change: Partial<Target>): void {
  if (target === undefined) throw new Error('there is nothing to edit');
  Object.assign(target, change);
}
