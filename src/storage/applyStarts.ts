// Marks of attempts under way, committed apart from the attempt's own transaction: a worker process that dies takes its transaction
// along, and the mark stays. Only the holder of the workspace's lock writes its mark, so nobody ever waits for another here.
import type { Database } from './database.js';

export interface StartMark {
  /** Operations up to this id were started together. */
  lastId: number;
  /** The one that was started alone last. */
  aloneId: number | null;
  /** How often that one was started without an end. */
  aloneStarts: number;
}

// Not waited for until it is on disk: a mark has to outlive its worker, and a PostgreSQL that goes down loses a count at worst.
const RELAXED = "set_config('synchronous_commit', 'off', true) = 'off'";

const WRITE = `
INSERT INTO apply_starts (workspace_id, last_id, alone_id, alone_starts)
SELECT $1, $2::bigint, $3::bigint, $4::smallint WHERE ${RELAXED}
ON CONFLICT (workspace_id) DO UPDATE SET last_id = excluded.last_id, alone_id = excluded.alone_id, alone_starts = excluded.alone_starts`;

/** The mark of a workspace: there is one while an attempt is under way, and after one that did not end. */
export async function readStartMark(database: Database, workspaceId: string): Promise<StartMark | undefined> {
  const [mark] = await database.select<StartMark>(
    `SELECT last_id AS "lastId", alone_id AS "aloneId", alone_starts AS "aloneStarts" FROM apply_starts WHERE workspace_id = $1`,
    [workspaceId],
  );
  return mark;
}

/** Writes a workspace's mark; on return it is committed, and survives the worker. */
export async function writeStartMark(database: Database, workspaceId: string, mark: StartMark): Promise<void> {
  await database.select(WRITE, [workspaceId, mark.lastId, mark.aloneId, mark.aloneStarts]);
}

/** The attempt has ended. */
export async function deleteStartMark(database: Database, workspaceId: string): Promise<void> {
  await database.select(`DELETE FROM apply_starts WHERE workspace_id = $1 AND ${RELAXED}`, [workspaceId]);
}
