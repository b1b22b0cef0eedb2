// I6 under load: ten writers, some of which roll back, and five readers that page with random limits. Nothing is missed, nothing comes
// out of order, and every reader ends with the same tasks as the table.
import { expect } from 'chai';
import { createRandom } from '../support/oracle.js';
import { type System, startSystem } from '../support/system.js';

const CHANGES = 20_000;
const WRITERS = 10;
const READERS = 5;
const BATCH = 100;

interface Task {
  id: string;
  title: string;
  deleted: boolean;
  seq: number;
}

describe('the change feed under load', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 2 });
  });
  after(() => system.stop());

  it(`misses none of ${CHANGES} changes`, async () => {
    let writersLeft = WRITERS;
    const write = async (writer: number) => {
      const random = createRandom(writer);
      for (let batch = 0; batch < CHANGES / WRITERS / BATCH; batch += 1) {
        const items = Array.from({ length: BATCH }, (_, index) => {
          const kind = random();
          const id = `w${writer}-${batch === 0 ? index : Math.floor(random() * BATCH)}`;
          const operation = batch === 0 ? 'create' : kind < 0.1 ? 'delete' : 'update';
          const data = operation === 'delete' ? { id } : { id, title: `${writer}.${batch}.${index}` };
          return { client_id: `writer-${writer}`, op_id: `${writer}.${batch}.${index}`, operation, data };
        });
        const answer = await system.push(items, {}, { prefer: 'wait=30' });
        expect(answer.body.summary.success).to.equal(BATCH);
        if (random() < 0.5) await rollBack(random() * 5);
      }
      writersLeft -= 1;
    };
    /** Takes seqs under the lock, shows nothing, and gives them back. */
    const rollBack = async (delayMs: number) => {
      await system.database
        .transaction(async (transaction) => {
          await system.database.select(
            "UPDATE workspaces SET seq = seq + 7 WHERE id = 'default' RETURNING pg_sleep($1)",
            [delayMs / 1_000],
            transaction,
          );
          throw new Error('changed my mind');
        })
        .catch(() => undefined);
    };
    const read = async (reader: number) => {
      const random = createRandom(1_000 + reader);
      const copy = new Map<string, Task>();
      let cursor: string | undefined;
      let lastSeq = 0;
      for (let isLast = false; ; ) {
        const limit = 1 + Math.floor(random() * 700);
        const query = `?limit=${limit}&wait=0.2${cursor === undefined ? '' : `&cursor=${cursor}`}`;
        const { body } = await system.request('GET', `/api/sync/changes${query}`);
        for (const task of body.changes) {
          expect(task.seq).to.be.greaterThan(lastSeq);
          lastSeq = task.seq;
          if (task.deleted) copy.delete(task.id);
          else copy.set(task.id, task);
        }
        cursor = body.cursor;
        if (isLast && !body.has_more && body.changes.length === 0) return copy;
        isLast = writersLeft === 0;
      }
    };
    const [copies] = await Promise.all([
      Promise.all(Array.from({ length: READERS }, (_, reader) => read(reader))),
      Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer))),
    ]);
    const rows = await system.database.select<{ id: string; title: string; seq: number }>(
      'SELECT id, title, seq FROM tasks WHERE NOT deleted ORDER BY id COLLATE "C"',
      [],
    );
    const [workspace] = await system.database.select<{ seq: number }>(
      "SELECT seq FROM workspaces WHERE id = 'default'",
      [],
    );
    expect(workspace?.seq).to.equal(CHANGES);
    for (const copy of copies) {
      const tasks = [...copy.values()].map(({ id, title, seq }) => ({ id, title, seq }));
      expect(tasks.sort((a, b) => (a.id < b.id ? -1 : 1))).to.deep.equal(rows);
    }
  });
});
