// I4 under strategy merge against the database: devices push shuffled batches at the same time, some twice, to several workers; the
// tasks come out as the pure fold makes them, versions of fields included.
import { expect } from 'chai';
import { FIELD_VERSIONS_COLUMN, TASK_COLUMNS } from '../../src/storage/taskView.js';
import type { Task } from '../../src/sync/task.js';
import { foldInBatches, stateOf } from '../support/merge.js';
import { shuffle } from '../support/operations.js';
import { acceptedAs, createRandom, type SentItem } from '../support/oracle.js';
import { eventually, type System, startSystem } from '../support/system.js';

const DEVICES = ['phone', 'laptop', 'tablet', 'watch'];
const TASKS = 5;
const EDITS_PER_DEVICE = 60;

/** A create of every task, then edits of all devices within three minutes: nearly every one meets another. */
function makeItems(seed: number): { creates: SentItem[]; edits: SentItem[] } {
  const random = createRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const timeOf = (micros: number) =>
    `2026-01-31T10:0${Math.floor(micros / 60e6)}:${String(((micros / 1e6) % 60) | 0).padStart(2, '0')}.000000Z`;
  const creates = Array.from({ length: TASKS }, (_, index): SentItem => {
    const data = { id: `task-${index}`, title: `Task ${index}`, updated_at: timeOf(below(180e6)) };
    return { client_id: 'phone', op_id: `create-${index}`, operation: 'create', data };
  });
  const edits = DEVICES.flatMap((device) =>
    Array.from({ length: EDITS_PER_DEVICE }, (_, index): SentItem => {
      const operation = below(6) === 0 ? 'delete' : below(8) === 0 ? 'create' : 'update';
      const title = operation === 'create' || below(2) === 0 ? { title: `${device} ${index}` } : {};
      const completed = below(2) === 0 ? { completed: below(2) === 0 } : {};
      const data = { id: `task-${below(TASKS)}`, updated_at: timeOf(below(180e6)) };
      const fields = operation === 'delete' ? {} : { ...title, ...completed };
      return { client_id: device, op_id: `${device}-${index}`, operation, data: { ...data, ...fields } };
    }),
  );
  return { creates, edits };
}

describe('convergence under strategy merge (I4)', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, {
      workers: 3,
      env: { CONFLICT_STRATEGY: 'merge', SYNC_BATCH_SIZE: '5' },
    });
  });
  after(() => system.stop());

  /** Pushes a device's items shuffled, in batches of 1 to 12, every third batch twice. */
  async function pushShuffled(items: SentItem[], seed: number) {
    const random = createRandom(seed);
    const waiting = shuffle(items, seed);
    for (let count = 0; waiting.length > 0; count += 1) {
      const batch = waiting.splice(0, 1 + Math.floor(random() * 12));
      const answer = await system.push(batch, {}, { prefer: 'respond-async' });
      expect(answer.status).to.be.oneOf([200, 202]);
      if (count % 3 === 0) await system.push(shuffle(batch, count), {}, { prefer: 'respond-async' });
    }
  }

  it('four devices, three workers, any order: the state of the pure fold', async () => {
    const seed = 20_260_131;
    const { creates, edits } = makeItems(seed);
    expect((await system.push(creates)).body.summary.success).to.equal(TASKS);
    await Promise.all(
      DEVICES.map((device, index) =>
        pushShuffled(
          edits.filter((each) => each.client_id === device),
          seed + index,
        ),
      ),
    );
    await eventually(async () => (await system.request('GET', '/api/sync/status')).body.pending === 0, 30_000);

    const rows = await system.database.select<Task>(
      `SELECT ${TASK_COLUMNS}, ${FIELD_VERSIONS_COLUMN} FROM tasks t`,
      [],
    );
    const stored = new Map(rows.map((task) => [task.id, task]));
    const folded = foldInBatches([[...creates, ...edits].map(acceptedAs)], 'merge');
    expect(stateOf(stored)).to.deep.equal(stateOf(folded.tasks));

    const [log] = await system.database.select<Record<string, number>>(
      `SELECT count(*) AS known, count(seq) AS effects, count(DISTINCT seq) AS places, max(seq) AS last, count(field_outcomes) AS merged,
         count(*) FILTER (WHERE outcome = 'conflict') AS conflicts, (SELECT seq FROM workspaces WHERE id = 'default') AS seq
       FROM sync_queue`,
      [],
    );
    expect(log?.known).to.equal(creates.length + edits.length);
    expect([log?.places, log?.last, log?.seq]).to.deep.equal([log?.effects, log?.effects, log?.effects]);
    expect(log?.merged, 'some edits were applied in part').to.be.above(0);
    expect(log?.conflicts, 'and some not at all').to.be.above(0);
  });
});
