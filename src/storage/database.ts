// The connection pool and the way every statement takes to PostgreSQL. Timestamps arrive as canonical text with their
// microseconds and 64-bit counters as numbers, so no Date object ever stands between a device and the database.
import { Socket } from 'node:net';
import pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { Sequelize } from 'sequelize-typescript';
import type { DatabaseAddress } from '../databaseAddress.js';
import { DURABLE_SESSION } from '../sessionSettings.js';
import { createSilenceWatch, type SilenceWatch } from '../silence.js';
import { SyncBatch } from './models/syncBatch.js';
import { SyncQueueItem } from './models/syncQueueItem.js';
import { TaskRow } from './models/taskRow.js';
import { Workspace } from './models/workspace.js';
import {
  isUsableAfter,
  openSession,
  PipelinedClient,
  type Session,
  StaleStatement,
  type Statement,
  writeTogether,
} from './statement.js';
import { canonicalFromPostgres } from './timestampColumn.js';

export interface DatabaseOptions {
  poolSize: number;
  connectTimeoutMs: number;
  acquireTimeoutMs: number;
  statementTimeoutMs: number;
  lockTimeoutMs: number;
  /** Whether statements of the hot path are prepared once a connection. */
  preparedStatements: boolean;
  /** Told, once, what an operator should change. */
  warn?: (message: string) => void;
}

export interface Database {
  readonly sequelize: Sequelize;
  readonly watchSilence: SilenceWatch;
  /** Runs one statement with $1, $2 ... bound and returns its rows. */
  select<Row extends object>(sql: string, bind: readonly unknown[], transaction?: Transaction): Promise<Row[]>;
  /** Runs `work` in a READ COMMITTED transaction; what it throws rolls back. */
  transaction<Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result>;
  /** Runs one statement of the hot path, and a transaction's when it is given one, and returns its rows. */
  run<Row extends object>(statement: Statement, bind: readonly unknown[], transaction?: Transaction): Promise<Row[]>;
  /**
   * Runs `work` in a READ COMMITTED transaction of the hot path; what it throws rolls back. Its first statement goes out together with
   * BEGIN; `sendCommit` sends COMMIT behind what was sent before it, and its answer is waited for when `work` has ended.
   */
  pipeline<Result>(work: (session: Session, sendCommit: () => void) => Promise<Result>): Promise<Result>;
  /** Tells how many operations were accepted by now: the plans of lookups are kept by it. @param id of an operation in the log */
  sawOperation(id: number): void;
  /** The server has another database now: what was seen of the old one is forgotten, and its connections are not used again. */
  startOver(): void;
  close(): Promise<void>;
}

/** What an answer may take on its way. */
const QUERY_GRACE_MS = 2_000;
/**
 * Sooner: the driver's limit ends one query and its connection, and the next query finds the next dead one in the pool (29 s until workers
 * applied again). Silence cuts all of them.
 */
const SILENCE_GRACE_MS = 1_000;
const NAMES_ARE_LOST =
  'a pooler between here and PostgreSQL does not keep prepared statements apart: going on without. Set DATABASE_PREPARED_STATEMENTS=false, or use PgBouncer 1.21 or later with max_prepared_statements above 0';
const TIMESTAMPTZ_OID = 1184;
const INT8_OID = 20;

// The planner must not choose by what it believes about the size of a workspace: without statistics (the first minute of a new
// database) it joined 50 keys to the whole log, at 20 ms a transaction, and with them it reads tables of up to 80,000 rows from end to
// end rather than look up 500 keys. Inside these transactions every join is from keys to rows.
// Nor compile: a table that can only be read from end to end makes such a plan look dear, and before PostgreSQL 18 each run was compiled for 0.1 s.
const BEGIN = `BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
  SET LOCAL jit = off`;

/**
 * Opens a pool; connects at the first statement. `processName` shows in pg_stat_activity.
 * @param watchSilence that of another pool on the same server: dead connections of both are found and cut together
 */
export function openDatabase(
  address: DatabaseAddress,
  options: DatabaseOptions,
  processName: string,
  watchSilence: SilenceWatch = createSilenceWatch(options.statementTimeoutMs + SILENCE_GRACE_MS),
): Database {
  /** A proxy may leave connections to a server that was replaced open: they would go on reading what is gone. */
  let generation = 0;
  const births = new WeakMap<pg.Client, number>();
  const isOfNow = (connection: unknown) => {
    const client = asClient(connection);
    return !isEnding(client) && births.get(client) === generation;
  };
  const sequelize = new Sequelize({
    dialect: 'postgres',
    dialectModule: { ...pg, Client: PipelinedClient },
    host: address.host,
    port: address.port,
    username: address.user,
    password: address.password,
    database: address.database,
    logging: false,
    // Models belong to this pool, not to the process: tests and tools open several databases at once.
    repositoryMode: true,
    models: [Workspace, TaskRow, SyncBatch, SyncQueueItem],
    pool: { max: options.poolSize, min: 0, acquire: options.acquireTimeoutMs, idle: 30_000, validate: isOfNow },
    dialectOptions: {
      ssl: address.ssl,
      application_name: `task-sync ${processName}`,
      connectionTimeoutMillis: options.connectTimeoutMs,
      // The server's own limit is of no use when the server itself hangs, or the network to it.
      query_timeout: options.statementTimeoutMs + QUERY_GRACE_MS,
      ...(address.options === undefined ? {} : limitsOf(address.options, options)),
      keepAlive: true,
    },
  });
  sequelize.addHook('afterConnect', async (connection: unknown) => {
    const client = asClient(connection);
    births.set(client, generation);
    const { stream } = client.connection;
    if (stream instanceof Socket) watchSilence(stream);
    client.setTypeParser(TIMESTAMPTZ_OID, 'text', canonicalFromPostgres);
    // seq and ids count up from 1: 2^53 of them are enough.
    client.setTypeParser(INT8_OID, 'text', Number);
    try {
      await client.query(DURABLE_SESSION);
    } catch (error) {
      // The pool does not know of it yet.
      stream.destroy();
      throw error;
    }
  });
  const { connectionManager } = sequelize;
  let lastId = 0;
  const unnamed = (statement: Statement) => ({ text: statement.at(0).text });
  let isPreparing = options.preparedStatements;
  const send = (statement: Statement) => (isPreparing ? statement.at(lastId) : unnamed(statement));
  // Alone, a lookup is planned each time: its kept plan would be made without the settings of BEGIN.
  const sendAlone = (statement: Statement) => (isPreparing ? statement.at(0) : unnamed(statement));

  async function withClient<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    const connection = await connectionManager.getConnection({ type: 'write' });
    let isUsable = false;
    try {
      const result = await work(asClient(connection));
      isUsable = true;
      return result;
    } catch (error) {
      isUsable = isUsableAfter(error);
      throw error;
    } finally {
      if (isUsable) connectionManager.releaseConnection(connection);
      // Not waited for: the pool has let go of it already, and a server that hangs would keep the caller from his error.
      else void connectionManager.destroyConnection(connection).catch(() => undefined);
    }
  }

  /** Behind a pooler that moves a client from session to session names lead nowhere, or to another's statement: then it goes on without. */
  async function withoutNamesIfPooled<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StaleStatement && error.isUnknown)) throw error;
      if (isPreparing) options.warn?.(NAMES_ARE_LOST);
      isPreparing = false;
      // Nothing was done: the statement failed before it ran, and its transaction with it.
      return work();
    }
  }

  return {
    sequelize,
    watchSilence,
    select: (sql, bind, transaction) =>
      sequelize.query(sql, { bind: [...bind], type: QueryTypes.SELECT, ...(transaction ? { transaction } : {}) }),
    transaction: (work) => sequelize.transaction(work),
    run: <Row extends object>(statement: Statement, bind: readonly unknown[], transaction?: Transaction) =>
      transaction === undefined
        ? withoutNamesIfPooled(() => withClient((client) => openSession(client, sendAlone).run<Row>(statement, bind)))
        : // Not prepared: the plan would be made without the settings of BEGIN.
          openSession(asClient(connectionOf(transaction)), unnamed).run<Row>(statement, bind),
    sawOperation: (id) => {
      lastId = Math.max(lastId, id);
    },
    startOver() {
      lastId = 0;
      generation += 1;
    },
    pipeline: (work) =>
      withoutNamesIfPooled(() => withClient((client) => runPipeline(client, openSession(client, send), work))),
    close: () => sequelize.close(),
  };
}

/** Stronger than those in `options`, as PostgreSQL reads startup parameters. */
const limitsOf = (options: string, { statementTimeoutMs, lockTimeoutMs }: DatabaseOptions) => ({
  options,
  statement_timeout: statementTimeoutMs,
  lock_timeout: lockTimeoutMs,
  // A client that dies inside a transaction must not hold the workspace's lock longer than a statement may run.
  idle_in_transaction_session_timeout: statementTimeoutMs,
});

async function runPipeline<Result>(
  client: pg.Client,
  session: Session,
  work: (session: Session, sendCommit: () => void) => Promise<Result>,
): Promise<Result> {
  let ending: Promise<void> | undefined;
  const commit = () => {
    if (ending === undefined) {
      writeTogether(client);
      ending = client.query('COMMIT').then(({ command }) => {
        // What the server answers when a statement before it has failed.
        if (command !== 'COMMIT') throw new Error('the transaction was rolled back');
      });
    }
    return ending;
  };
  // Told below, when `work` has ended: the error of a statement before it comes first, and is the one that says what happened.
  const sendCommit = () => void commit().catch(() => undefined);
  writeTogether(client);
  const begun = client.query(BEGIN);
  try {
    const [result] = await Promise.all([work(session, sendCommit), begun]);
    await commit();
    return result;
  } catch (error) {
    // Also where COMMIT is on its way already: the connection goes back when it has answered everything.
    if (isUsableAfter(error)) await (ending ?? client.query('ROLLBACK')).catch(() => undefined);
    throw error;
  }
}

/** What Sequelize looks at before it takes a connection from the pool. */
function isEnding(client: pg.Client): boolean {
  return ('_invalid' in client && client._invalid === true) || ('_ending' in client && client._ending === true);
}

function connectionOf(transaction: Transaction): unknown {
  return 'connection' in transaction ? transaction.connection : undefined;
}

function asClient(connection: unknown): pg.Client {
  if (connection instanceof pg.Client) return connection;
  throw new TypeError('Sequelize did not connect through the pg driver');
}
