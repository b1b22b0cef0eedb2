import type { Database } from './database.js';

/** The id that was given to an operation last, by whichever process; at most 1 in a database that has none. */
export async function readLastOperationId(database: Database): Promise<number> {
  const [row] = await database.select<{ lastId: number }>('SELECT last_value AS "lastId" FROM sync_queue_id_seq', []);
  return row?.lastId ?? 0;
}
