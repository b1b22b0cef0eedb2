// The connection pool and the way every statement takes to PostgreSQL. Timestamps arrive as canonical text with their
// microseconds and 64-bit counters as numbers, so no Date object ever stands between a device and the database.
import pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { Sequelize } from 'sequelize-typescript';
import type { DatabaseAddress } from '../databaseAddress.js';
import { SyncBatch } from './models/syncBatch.js';
import { SyncQueueItem } from './models/syncQueueItem.js';
import { TaskRow } from './models/taskRow.js';
import { Workspace } from './models/workspace.js';
import { canonicalFromPostgres } from './timestampColumn.js';

export interface DatabaseOptions {
  poolSize: number;
  connectTimeoutMs: number;
  acquireTimeoutMs: number;
  statementTimeoutMs: number;
  lockTimeoutMs: number;
}

export interface Database {
  readonly sequelize: Sequelize;
  /** Runs one statement with $1, $2 ... bound and returns its rows. */
  select<Row extends object>(sql: string, bind: readonly unknown[], transaction?: Transaction): Promise<Row[]>;
  /** Runs `work` in a READ COMMITTED transaction; what it throws rolls back. */
  transaction<Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

/** What an answer may take on its way. */
const QUERY_GRACE_MS = 2_000;
const TIMESTAMPTZ_OID = 1184;
const INT8_OID = 20;

/**
 * Sequelize listens for the errors of a connection one turn after it is made. A session that the server ends at that very moment would
 * end the process with an unhandled error event; so it only fails the statement that Sequelize sends first.
 */
class ListeningClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

/** Opens a pool; connects at the first statement. `processName` shows in pg_stat_activity. */
export function openDatabase(address: DatabaseAddress, options: DatabaseOptions, processName: string): Database {
  const sequelize = new Sequelize({
    dialect: 'postgres',
    dialectModule: { ...pg, Client: ListeningClient },
    host: address.host,
    port: address.port,
    username: address.user,
    password: address.password,
    database: address.database,
    logging: false,
    // Models belong to this pool, not to the process: tests and tools open several databases at once.
    repositoryMode: true,
    models: [Workspace, TaskRow, SyncBatch, SyncQueueItem],
    pool: { max: options.poolSize, min: 0, acquire: options.acquireTimeoutMs, idle: 30_000 },
    dialectOptions: {
      ssl: address.ssl,
      application_name: `task-sync ${processName}`,
      connectionTimeoutMillis: options.connectTimeoutMs,
      statement_timeout: options.statementTimeoutMs,
      // The server's own limit is of no use when the server itself hangs, or the network to it.
      query_timeout: options.statementTimeoutMs + QUERY_GRACE_MS,
      lock_timeout: options.lockTimeoutMs,
      // A client that dies inside a transaction must not hold the workspace's lock longer than a statement may run.
      idle_in_transaction_session_timeout: options.statementTimeoutMs,
      keepAlive: true,
    },
  });
  sequelize.addHook('afterConnect', (connection: unknown) => {
    if (!(connection instanceof pg.Client)) throw new TypeError('Sequelize did not connect through the pg driver');
    connection.setTypeParser(TIMESTAMPTZ_OID, 'text', canonicalFromPostgres);
    // seq and ids count up from 1: 2^53 of them are enough.
    connection.setTypeParser(INT8_OID, 'text', Number);
  });
  return {
    sequelize,
    select: (sql, bind, transaction) =>
      sequelize.query(sql, { bind: [...bind], type: QueryTypes.SELECT, ...(transaction ? { transaction } : {}) }),
    transaction: (work) => sequelize.transaction(work),
    close: () => sequelize.close(),
  };
}
