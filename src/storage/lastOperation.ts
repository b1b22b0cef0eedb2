import type { Database } from './database.js';

/** The id that was given to an operation last, by whichever process; 0 in a database that has none. */
export async function readLastOperationId(database: Database): Promise<number> {
  // Selecting from the sequence would need a right that giving ids does not.
  const sql = `SELECT pg_sequence_last_value('sync_queue_id_seq') AS "lastId"`;
  const [row] = await database.select<{ lastId: number | null }>(sql, []);
  return row?.lastId ?? 0;
}
