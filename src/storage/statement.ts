// Statements of the hot path: constant texts that are sent through the bare driver, on a connection of Sequelize's pool, and prepared
// once a connection. `sequelize.query` costs 30 % over the driver on the same SQL, parsing and planning another 10 to 25 %.
import { createHash } from 'node:crypto';
import pg from 'pg';

export interface Statement {
  /** How it is sent by a process that has seen operations up to this id: without a name it is planned anew each time. */
  at(lastId: number): { readonly text: string; readonly name?: string };
}

/**
 * A statement with $1, $2 ... bound that is prepared once a connection. Only for what has but one possible plan, like an insert or a row of
 * a table with one index.
 * @param label what pg_prepared_statements shows of it, before a hash of its text: two versions of a statement never share a name,
 *   whoever pools the connections
 */
export function prepared(label: string, text: string): Statement {
  const named = withName(label, text);
  return { at: () => named };
}

/** While fewer operations were accepted than this, all indexes of a table may look alike to the planner. */
const LOOKUPS_PREPARED_FROM = 1_000;

/**
 * A statement that looks rows up by their keys, for pipelines, which plan with the settings of BEGIN in database.ts. It is prepared, too, but
 * not in a new database, and anew whenever ten times as many operations were accepted. PostgreSQL keeps the plan of the sixth execution until
 * the tables are analyzed, and the tables of a new database are empty then: reading the outcomes of a batch took 31 ms on average among
 * up to 11,000 rows that way. (Where the log was pruned to little, only ANALYZE renews a plan, which autovacuum runs.) Planning each time costs
 * 0.2 to 0.8 ms a statement, half of PostgreSQL's time for an operation that comes alone.
 */
export function lookup(label: string, text: string): Statement {
  const planned = { text };
  // The magnitude stands in the text, too: PgBouncer gives statements of one text one name, and so one plan.
  const named: ReturnType<Statement['at']>[] = [];
  return {
    at(lastId) {
      if (lastId < LOOKUPS_PREPARED_FROM) return planned;
      const digits = String(lastId).length;
      named[digits] ??= withName(label, `${text} /* from 10^${digits - 1} operations on */`);
      return named[digits];
    },
  };
}

/** A statement that is planned each time it runs: where it runs seldom, or where Sequelize's transactions plan it without BEGIN's settings. */
export function planned(text: string): Statement {
  const unnamed = { text };
  return { at: () => unnamed };
}

function withName(label: string, text: string) {
  return { text, name: `${label}_${createHash('sha256').update(text).digest('hex').slice(0, 12)}` };
}

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
  constructor(override readonly cause: pg.DatabaseError) {
    super(cause.message, { cause });
  }

  /** It is another session than the one that prepared it, or one where somebody else did. */
  get isUnknown(): boolean {
    return this.cause.routine !== REVALIDATED;
  }
}

const REVALIDATED = 'RevalidateCachedQuery';

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

/** @param send how a statement is sent on this connection */
export function openSession(client: pg.Client, send: (statement: Statement) => ReturnType<Statement['at']>): Session {
  return {
    async run<Row extends object>(statement: Statement, bind: readonly unknown[]) {
      try {
        writeTogether(client);
        return (await client.query<Row>({ ...send(statement), values: [...bind] })).rows;
      } catch (error) {
        throw isStale(error) ? new StaleStatement(error) : error;
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
  return error.code === '26000' || error.code === '42P05' || error.routine === REVALIDATED;
}
