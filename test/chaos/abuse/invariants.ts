// What must hold of the default workspace after any abuse, whatever was sent by whom: nothing waits, nothing failed, the log replayed in
// its order gives the table, and the feed gives the same (I2, I3, I6).
import { expect } from 'chai';
import { queryDatabase } from '../../support/postgres.js';
import { eventually } from '../../support/system.js';
import { readFeed } from './feed.js';

interface LogRow {
  task_id: string;
  operation: string;
  outcome: string;
  seq: string | null;
  task_data: Record<string, unknown>;
  op_id: string;
  client_id: string;
}

/** @param settleMs how long what was accepted may still take */
export async function expectInvariants(url: string, databaseUrl: string, settleMs: number): Promise<void> {
  const query = <Row extends object>(statement: string) => queryDatabase<Row>(databaseUrl, statement);
  const count = async (status: string) => {
    const [row] = await query<{ count: string }>(
      `SELECT count(*) FROM sync_queue WHERE workspace_id = 'default' AND status = '${status}'`,
    );
    return Number(row?.count);
  };
  await eventually(async () => (await count('pending')) === 0, settleMs, 250);
  const failed = await query<object>(
    "SELECT id, operation, error, task_data FROM sync_queue WHERE workspace_id = 'default' AND status = 'failed' LIMIT 5",
  );
  expect(failed, 'accepted operations that could not be applied').to.deep.equal([]);

  const effects = await query<LogRow>(
    "SELECT * FROM sync_queue WHERE workspace_id = 'default' AND status = 'synced' AND outcome = 'success' ORDER BY seq",
  );
  const [workspace] = await query<{ seq: string; synced: string }>(
    "SELECT seq, synced FROM workspaces WHERE id = 'default'",
  );
  expect(
    effects.map((row) => Number(row.seq)),
    'one seq for each effect, without gaps',
  ).to.deep.equal(Array.from({ length: Number(workspace?.seq) }, (_, index) => index + 1));
  expect(Number(workspace?.synced)).to.equal(await count('synced'));

  const tasks = await query<{
    id: string;
    title: string;
    deleted: boolean;
    op_id: string;
    updated_by: string;
    seq: string;
  }>("SELECT id, title, deleted, op_id, updated_by, seq FROM tasks WHERE workspace_id = 'default' ORDER BY seq");
  const last = new Map(effects.map((row) => [row.task_id, row]));
  expect(
    tasks.map(({ id, op_id, updated_by, seq, deleted }) => ({ id, op_id, by: updated_by, seq, deleted })),
    'each task is what its last effect made it',
  ).to.deep.equal(
    [...last.values()]
      .sort((a, b) => Number(a.seq) - Number(b.seq))
      .map((row) => ({
        id: row.task_id,
        op_id: row.op_id,
        by: row.client_id,
        seq: row.seq,
        deleted: row.operation === 'delete',
      })),
  );
  const live = tasks.filter((task) => !task.deleted).map(({ id, title, seq }) => ({ id, title, seq: Number(seq) }));
  expect(await readFeed(url), 'the feed from its beginning').to.deep.equal(live);
}
