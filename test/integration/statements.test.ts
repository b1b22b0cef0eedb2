// The hot path is set-based: the number of statements does not grow with the batch.
import { expect } from 'chai';
import { v7 as newUuid } from 'uuid';
import { acceptBatch } from '../../src/storage/acceptBatch.js';
import { applyPending } from '../../src/storage/applyPending.js';
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
    system.database.sequelize.options.logging = () => {
      statements += 1;
    };
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
    const ids = await acceptBatch(system.database, batch);
    const accepting = statements;
    const request = { workspaceId: 'default', upTo: ids.at(-1) ?? 0, limit: 500, now: () => NOW, newServerId: newUuid };
    const applied = await applyPending(system.database, request);
    system.database.sequelize.options.logging = false;
    expect(applied.outcomes).to.deep.equal({ success: size });
    return { accepting, applying: statements - accepting };
  }

  it('accepting takes one and applying six, for one operation and for 500', async () => {
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
});
