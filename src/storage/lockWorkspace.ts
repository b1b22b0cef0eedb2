// The lock that every writer of a workspace's tasks takes first (I3).
import type { Transaction } from 'sequelize';
import type { Database } from './database.js';
import { planned, prepared, type Session } from './statement.js';

const LOCK = prepared('lock_workspace', 'SELECT seq FROM workspaces WHERE id = $1 FOR NO KEY UPDATE');

// The transactions of Sequelize do not begin with the settings of BEGIN in database.ts; they get them here.
const LOCK_ALONE = planned(
  `SELECT seq, set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
  set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true) FROM workspaces WHERE id = $1 FOR NO KEY UPDATE`,
);

/** The same as the first statement of a pipelined transaction. @returns the workspace's seq */
export async function lockOn(session: Session, id: string): Promise<number> {
  const [row] = await session.run<{ seq: number }>(LOCK, [id]);
  return requireWorkspace(row, id).seq;
}

/** Locks a workspace for the rest of the transaction; every writer of its tasks starts with this. @returns its seq. */
export async function lockWorkspace(database: Database, id: string, transaction: Transaction): Promise<number> {
  const [row] = await database.run<{ seq: number }>(LOCK_ALONE, [id], transaction);
  return requireWorkspace(row, id).seq;
}

function requireWorkspace<Row>(row: Row | undefined, id: string): Row {
  if (row === undefined) throw new Error(`workspace ${id} does not exist`);
  return row;
}
