// The time line of a test database, and how it becomes another one under running processes.
import { createLogger } from '../../src/logger.js';
import type { Database } from '../../src/storage/database.js';
import { readIncarnation } from '../../src/storage/readChanges.js';
import { createTimeLine, type TimeLine } from '../../src/timeLine.js';
import { queryDatabase } from './postgres.js';

const logger = createLogger({ level: 'error', process: 'test' });

/** What a process knows of it. */
export async function openTimeLine(database: Database): Promise<TimeLine> {
  const { incarnation } = await readIncarnation(database);
  return createTimeLine(incarnation, logger);
}

/**
 * What a failover to a standby that lags, or a restored backup, makes of a database, as far as its rows show it: what came after a seq is gone,
 * and the database says that it is another one. All in one transaction: no reader sees half of it.
 * @param identity false: as old rows that were put into the tables by hand, where only the seq tells
 */
export async function rewind(database: Database, seq: number, { identity = true } = {}): Promise<void> {
  await database.transaction(async (transaction) => {
    const run = (sql: string, bind: unknown[]) => database.select(sql, bind, transaction);
    if (identity) await run('UPDATE sync_identity SET incarnation = gen_random_uuid() RETURNING id', []);
    await run('UPDATE workspaces SET seq = $1 RETURNING id', [seq]);
    await run('DELETE FROM tasks WHERE seq > $1 RETURNING id', [seq]);
    await run("DELETE FROM sync_queue WHERE seq > $1 OR status = 'pending' RETURNING id", [seq]);
  });
}

export interface Backup {
  /** Puts it in the place of the database, under whatever is connected to that. */
  restore(): Promise<void>;
  /** Removes what is left of it, and of the database whose place it took. */
  drop(): Promise<void>;
}

/** A copy of a database as it is now, as a dump would be. */
export async function takeBackup(url: string): Promise<Backup> {
  const address = new URL(url);
  const name = address.pathname.slice(1);
  address.pathname = '/postgres';
  const server = address.href;
  const [copy, lost] = [`${name}_copy`, `${name}_lost`];
  const run = (statement: string) => queryDatabase(server, statement);
  /** Nobody may be connected to a database that is copied or renamed. */
  const alone = async (work: () => Promise<unknown>) => {
    await run(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await run(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${name}'`);
    await work();
    await run(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
  };
  await alone(() => run(`CREATE DATABASE ${copy} TEMPLATE ${name}`));
  return {
    async drop() {
      for (const each of [copy, lost]) await run(`DROP DATABASE IF EXISTS ${each} WITH (FORCE)`);
    },
    restore: () =>
      alone(async () => {
        await run(`ALTER DATABASE ${name} RENAME TO ${lost}`);
        await run(`ALTER DATABASE ${copy} RENAME TO ${name}`);
      }),
  };
}
