// I4: operations of one client with one and the same time keep the order in which it sent them, across batches, api processes and corrected
// clocks; their ids decide nothing. The op_ids here are in the opposite order.
import { expect } from 'chai';
import { startApi } from '../../src/api/startApi.js';
import { createLogger } from '../../src/logger.js';
import { createShutdown, type Shutdown } from '../../src/shutdown.js';
import { CONFLICT_STRATEGIES } from '../../src/sync/merge.js';
import { refuseTitles } from '../support/faults.js';
import { createItem, deleteItem, type Item, newId, updateItem } from '../support/operations.js';
import { type Answer, type System, startSystem } from '../support/system.js';

const SECOND = '2026-01-31T10:30:00Z';
const TICKS = [SECOND, '2026-01-31T10:30:00.123Z', '2026-01-31T10:30:00.123456Z', '2026-01-31T11:30:00+01:00'];
const logger = createLogger({ level: 'error', process: 'test' });
const statusesOf = ({ body }: Answer) => body.processed_items.map(({ status }: { status: string }) => status);

for (const strategy of CONFLICT_STRATEGIES) {
  describe(`operations of one client with one time (${strategy})`, () => {
    let system: System;
    let otherUrl: string;
    let other: Shutdown;
    before(async () => {
      system = await startSystem(import.meta.url, { workers: 2, env: { CONFLICT_STRATEGY: strategy } });
      // Another api process, whose clock is behind.
      other = createShutdown(logger, 5_000);
      const { port } = await startApi(system.config, logger, other, () => Date.now() - 700);
      otherUrl = `http://127.0.0.1:${port}`;
    });
    after(async () => {
      await other.run('the test is over');
      await system.stop();
    });

    /** The items as one client sends them, with op_ids that would turn them round. */
    function ofOne(items: Item[], clientId = 'phone'): Item[] {
      const id = newId('op');
      return items.map((item, index) => ({ ...item, client_id: clientId, op_id: `${99 - index} ${id}` }));
    }
    const createAndEdit = (id: string, time: Record<string, unknown>) =>
      ofOne([
        createItem(id, { title: 'created', ...time }),
        updateItem(id, { title: 'edited', ...time }),
        deleteItem(id, time),
        createItem(id, { title: 'again', ...time }),
        updateItem(id, { title: 'last', completed: true, ...time }),
      ]);
    const taskOf = async (id: string) => (await system.request('GET', `/api/tasks/${id}`)).body;
    const inOrder = { title: 'last', completed: true, deleted: false };
    const success = (count: number) => Array(count).fill('success');

    for (const time of TICKS) {
      it(`keep their order in one batch: ${time}`, async () => {
        const id = newId('task');
        const answer = await system.push(createAndEdit(id, { updated_at: time }));
        expect(statusesOf(answer)).to.deep.equal(success(5));
        expect(await taskOf(id)).to.include(inOrder);
      });

      it(`keep their order in batches one after the other: ${time}`, async () => {
        const id = newId('task');
        for (const item of createAndEdit(id, { updated_at: time })) {
          expect(statusesOf(await system.push([item])), JSON.stringify(item)).to.deep.equal(['success']);
        }
        expect(await taskOf(id)).to.include(inOrder);
      });
    }

    async function pushTo(url: string, items: Item[], more: object = {}) {
      const headers = { 'content-type': 'application/json', prefer: 'respond-async' };
      await fetch(`${url}/api/sync/batch`, { method: 'POST', headers, body: JSON.stringify({ items, ...more }) });
    }

    it('keep it across api processes whose clocks differ, without times, and with times in the future', async () => {
      for (const time of [{}, { updated_at: '2999-01-01T00:00:00Z' }]) {
        const id = newId('task');
        const items = createAndEdit(id, time);
        for (const [index, item] of items.slice(0, 4).entries()) {
          await pushTo(index % 2 === 0 ? system.url : otherUrl, [item]);
        }
        expect(statusesOf(await system.push(items.slice(4)))).to.deep.equal(['success']);
        expect(await taskOf(id)).to.include(inOrder);
      }
    });

    it('keep it where the correction of the clock differs from batch to batch', async () => {
      const id = newId('task');
      const items = createAndEdit(id, { updated_at: new Date(Date.now() + 2_400_000).toISOString() });
      for (const [index, item] of items.entries()) {
        const client_timestamp = new Date(Date.now() + 2_400_000 + index * 100).toISOString();
        expect(statusesOf(await system.push([item], { client_timestamp }))).to.deep.equal(['success']);
      }
      expect(await taskOf(id)).to.include(inOrder);
    });

    it('are told with the time that decided, also when they are sent again', async () => {
      const id = newId('task');
      const items = createAndEdit(id, { updated_at: SECOND });
      await system.push(items);
      const again = await system.push(items);
      expect(statusesOf(again)).to.deep.equal(success(5));
      const { body } = await system.request('GET', `/api/tasks/${id}/history`);
      expect(body.map(({ updated_at }: { updated_at: string }) => updated_at)).to.deep.equal(
        [4, 3, 2, 1, 0].map((micros) => `2026-01-31T10:30:00.00000${micros}Z`),
      );
      expect((await taskOf(id)).updated_at).to.equal(body[0].updated_at);
      const { body: told } = await system.request('GET', `/api/sync/operations/${body[0].id}`);
      expect(told.explanation).to.match(/counts as later than an edit that phone had sent before/);
    });

    it('are still known when the log has forgotten them', async () => {
      const id = newId('task');
      const items = createAndEdit(id, { updated_at: SECOND });
      await system.push(items);
      const { seq } = await taskOf(id);
      await system.database.select('DELETE FROM sync_queue WHERE task_id = $1', [id]);
      expect(statusesOf(await system.push(items.slice(4)))).to.deep.equal(['success']);
      expect((await taskOf(id)).seq).to.equal(seq);
    });

    it('do not make the winner depend on when another client arrives', async () => {
      const winners: unknown[] = [];
      for (const position of [0, 1, 2]) {
        const id = newId('task');
        await system.push([createItem(id, { updated_at: '2026-01-31T10:00:00Z' }, { client_id: 'server' })]);
        const own = ofOne([1, 2].map((n) => updateItem(id, { title: `phone ${n}`, updated_at: SECOND })));
        // Higher than that of the phone, so that it wins against the first and loses to the second.
        const tablet = updateItem(id, { title: 'tablet', updated_at: SECOND }, { client_id: 'tablet' });
        for (const item of own.toSpliced(position, 0, tablet)) await system.push([item]);
        const { title, updated_at, updated_by } = await taskOf(id);
        winners.push({ title, updated_at, updated_by });
      }
      const winner = { title: 'phone 2', updated_at: '2026-01-31T10:30:00.000001Z', updated_by: 'phone' };
      expect(winners).to.deep.equal([winner, winner, winner]);
    });

    it('keep their order where the first one has failed and is tried again later', async () => {
      const id = newId('task');
      await system.push([createItem(id, { updated_at: '2026-01-31T10:00:00Z' })]);
      const allow = await refuseTitles(system.database, 'Refused', '22023');
      const [first, second] = ofOne(
        ['Refused', 'second'].map((title) => updateItem(id, { title, updated_at: SECOND })),
      );
      expect(statusesOf(await system.push([first]))).to.deep.equal(['error']);
      expect(statusesOf(await system.push([second]))).to.deep.equal(['success']);
      await allow();
      const { body } = await system.request('POST', '/api/sync/trigger');
      expect(body.results.map(({ status }: { status: string }) => status)).to.deep.equal(['conflict']);
      expect((await taskOf(id)).title).to.equal('second');
    });
  });
}
