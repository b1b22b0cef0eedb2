// Statements of the hot path: constant texts that are sent through the bare driver, on a connection of Sequelize's pool, and prepared
// once a connection. `sequelize.query` costs 30 % over the driver on the same SQL, parsing and planning another 10 to 25 %.
import { createHash } from 'node:crypto';
import pg from 'pg';

export interface Statement {
  readonly text: string;
  /** Its name on a connection, given the highest operation id that this process has seen; undefined: it is planned anew each time. */
  nameAt(lastId: number): string | undefined;
}

/**
 * A statement with $1, $2 ... bound that is prepared once a connection. Only for what has but one possible plan, like an insert or a row of
 * a table with one index.
 * @param label what pg_prepared_statements shows of it, before a hash of its text: two versions of a statement never share a name,
 *   whoever pools the connections
 */
export function prepared(label: string, text: string): Statement {
  const name = nameOf(label, text);
  return { text, nameAt: () => name };
}

/** In a log that is shorter than this, all indexes of a table look alike to the planner. */
const LOOKUPS_PREPARED_FROM = 1_000;

/**
 * A statement that looks rows up by their keys: prepared, too, but not on a short log, and anew whenever the log has grown tenfold. PostgreSQL
 * keeps the plan of the sixth execution until the tables are analyzed, and the tables of a new database are empty then: reading the
 * outcomes of a batch took 31 ms on average among up to 11,000 rows that way. Planning each time costs 0.2 to 0.5 ms a statement: a fifth of PostgreSQL's
 * time with batches of one operation.
 */
export function lookup(label: string, text: string): Statement {
  const name = nameOf(label, text);
  return {
    text,
    nameAt: (lastId) => (lastId < LOOKUPS_PREPARED_FROM ? undefined : `${name}_${String(lastId).length}`),
  };
}

/** A statement that is planned each time it runs: where it runs too seldom to gain from more. */
export function planned(text: string): Statement {
  return { text, nameAt: () => undefined };
}

function nameOf(label: string, text: string): string {
  return `${label}_${createHash('sha256').update(text).digest('hex').slice(0, 12)}`;
}

/** Columns that make a transaction look rows up by their keys, as BEGIN in database.ts does, beside whatever else a statement reads. */
export const BY_KEYS_ONLY = `set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
  set_config('enable_mergejoin', 'off', true)`;

/**
 * Lets what is sent to a server in one turn leave in one write. A write costs 20 to 50 us of CPU on loopback, sender and receiver together,
 * and the driver makes one for each statement: they were half of what a worker spent on an operation that came alone.
 */
export function writeTogether({ connection: { stream } }: pg.Client): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

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

/** @param nameOn how statements are called on this connection; undefined sends one as a new one */
export function openSession(client: pg.Client, nameOn: (statement: Statement) => string | undefined): Session {
  return {
    async run<Row extends object>(statement: Statement, bind: readonly unknown[]) {
      try {
        writeTogether(client);
        const values = [...bind];
        const name = nameOn(statement);
        const { text } = statement;
        const query = name === undefined ? { text, values } : { name, text, values };
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
