// The hot path is set-based: the number of statements does not grow with the batch.
import { expect } from 'chai';
import { v7 as newUuid } from 'uuid';
import { acceptBatches, packBatch } from '../../src/storage/acceptBatch.js';
import { applyPending } from '../../src/storage/applyPending.js';
import { onStatement } from '../support/statements.js';
import { type System, startSystem } from '../support/system.js';

const NOW = '2026-06-01T12:00:00.000000Z';

describe('statements', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
  });
  after(() => system.stop());

  /** Accepts and applies a batch of `size` creates and counts what goes to the database. */
  async function countStatements(size: number) {
    let statements = 0;
    const stop = onStatement(() => {
      statements += 1;
    });
    const operations = Array.from({ length: size }, (_, position) => {
      const opId = newUuid();
      return {
        position,
        clientId: 'c',
        opId,
        contentHash: 'h',
        taskId: opId,
        kind: 'create' as const,
        data: { title: 'T' },
        updatedAt: NOW,
      };
    });
    const entries = operations.map(({ clientId, opId, contentHash }) => ({ clientId, opId, contentHash }));
    const batch = {
      workspaceId: 'default',
      batchId: newUuid(),
      entries,
      clock: null,
      operations,
      maxRetries: 3,
      now: NOW,
    };
    const ids = (await acceptBatches(system.database, 'default', [packBatch(batch)])).get(batch.batchId) ?? [];
    const accepting = statements;
    const request = {
      workspaceId: 'default',
      upTo: ids.at(-1) ?? 0,
      limit: size,
      now: () => NOW,
      newServerId: newUuid,
    };
    const applied = await applyPending(system.database, request);
    stop();
    // As many as may be, and all that was asked for: looking for more would be a transaction for nothing.
    expect(applied).to.deep.include({ outcomes: { success: size }, hasMore: false });
    return { accepting, applying: statements - accepting };
  }

  it('accepting takes one and applying six, for one operation and for 500', async () => {
    // Opening a connection takes some of its own.
    await countStatements(1);
    expect(await countStatements(1)).to.deep.equal({ accepting: 1, applying: 6 });
    expect(await countStatements(50)).to.deep.equal({ accepting: 1, applying: 6 });
    expect(await countStatements(500)).to.deep.equal({ accepting: 1, applying: 6 });
  });

  it('accepting takes no lock that an apply holds', async () => {
    await system.database.transaction(async (transaction) => {
      await system.database.select("SELECT id FROM workspaces WHERE id = 'default' FOR UPDATE", [], transaction);
      const answer = await system.push(
        [{ client_id: 'c', op_id: 'while-locked', operation: 'create', data: { id: 'x', title: 'T' } }],
        {},
        { prefer: 'respond-async' },
      );
      expect(answer.status).to.equal(202);
    });
  });

  it('what an app puts beside the fields of a task is kept, listed in pages of bounded size, and not loaded to be applied', async () => {
    const attachment = 'x'.repeat(16_000);
    // More than an answer may hold.
    for (let batch = 0; batch < 6; batch += 1) {
      const items = Array.from({ length: 50 }, (_, index) => {
        const id = `large-${50 * batch + index}`;
        const data = { id, title: 'T', description: null, attachment };
        return { client_id: 'c', op_id: id, operation: 'create', data };
      });
      expect((await system.push(items, {}, { prefer: 'respond-async' })).status).to.equal(202);
    }
    const first = await system.request('GET', '/api/sync/queue?limit=1000');
    expect(first.body.length).to.be.within(1, 290);
    expect(first.headers.get('link')).to.match(/rel="next"/);
    const read: string[] = [];
    const stop = onStatement((_client, text) => void read.push(text));
    const request = {
      workspaceId: 'default',
      upTo: Number.MAX_SAFE_INTEGER,
      limit: 500,
      now: () => NOW,
      newServerId: newUuid,
    };
    const applied = await applyPending(system.database, request);
    stop();
    expect(applied.settled).to.be.at.least(300);
    expect(read.some((sql) => /task_data AS data/.test(sql))).to.equal(false);
    expect((await system.request('GET', '/api/tasks/large-0')).body).to.include({ title: 'T', description: null });
  });
});
