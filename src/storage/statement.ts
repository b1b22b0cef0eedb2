// Statements of the hot path: constant texts that are sent through the bare driver, on a connection of Sequelize's pool, and prepared
// once a connection. `sequelize.query` costs 30 % over the driver on the same SQL, parsing and planning another 10 to 25 %.
import { createHash } from 'node:crypto';
import pg from 'pg';

export interface Statement {
  /** Its name on a connection; undefined: it is planned anew each time. */
  readonly name?: string;
  readonly text: string;
}

/**
 * A statement with $1, $2 ... bound that is prepared once a connection. Only for what has but one possible plan, like an insert or a row of
 * a table with one index: PostgreSQL keeps the plan of the sixth execution until the tables are analyzed, and the tables of a new
 * database are empty then: reading the outcomes of a batch took 31 ms on average among up to 11,000 rows that way, and 1.4 planned each time.
 * @param label what pg_prepared_statements shows of it, before a hash of its text: two versions of a statement never share a name,
 *   whoever pools the connections
 */
export function prepared(label: string, text: string): Statement {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return { name: `${label}_${hash}`, text };
}

/** A statement that is planned each time it runs: where a small table invites another plan than a large one. */
export function planned(text: string): Statement {
  return { text };
}

/** Columns that make a transaction look rows up by their keys, as BEGIN in database.ts does, beside whatever else a statement reads. */
export const BY_KEYS_ONLY = `set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
  set_config('enable_mergejoin', 'off', true)`;

/** Runs statements one after the other; calls need not wait for each other, they share the way to the server. */
export interface Session {
  run<Row extends object>(statement: Statement, bind: readonly unknown[]): Promise<Row[]>;
}

/**
 * A prepared statement that the server does not know any more, or whose result changed its type under it (a migration ran). Nothing was
 * done; on a new connection the same statement works.
 */
export class StaleStatement extends Error {
  override name = 'StaleStatement';
}

/**
 * The driver's client with its pipeline: a statement is sent while the answers to those before it are on their way. Sequelize listens for
 * the errors of a connection one turn after it is made. A session that the server ends at that very moment would end the process with an
 * unhandled error event; so it only fails the statement that Sequelize sends first.
 */
export class PipelinedClient extends pg.Client {
  constructor(config: pg.ClientConfig) {
    super({ ...config, pipeline: true });
    this.on('error', () => undefined);
  }
}

/** @param isPrepared false sends every statement as a new one, for poolers that mix connections up between two statements */
export function openSession(client: pg.Client, isPrepared: boolean): Session {
  return {
    async run<Row extends object>({ name, text }: Statement, bind: readonly unknown[]) {
      try {
        const values = [...bind];
        const query = isPrepared && name !== undefined ? { name, text, values } : { text, values };
        return (await client.query<Row>(query)).rows;
      } catch (error) {
        throw isStale(error) ? new StaleStatement(error.message, { cause: error }) : error;
      }
    },
  };
}

/** Whether the connection may be used again: after an error of a statement, yes; after any other, nobody knows what it will answer to whom. */
export function isUsableAfter(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.severity === 'ERROR';
}

/** 26000: no such statement; 42P05: it exists already. The 0A000 of a changed result has no code of its own, but comes from one place. */
function isStale(error: unknown): error is pg.DatabaseError {
  if (!(error instanceof pg.DatabaseError)) return false;
  return error.code === '26000' || error.code === '42P05' || error.routine === 'RevalidateCachedQuery';
}
