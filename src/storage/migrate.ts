// Migrations: applied once, in order, all or none. One transaction holds an advisory lock from the first look at the list to the
// commit, so any number of processes may start together; a transaction lock, because a pooler in transaction mode loses session ones.
import type { Transaction } from 'sequelize';
import { Umzug } from 'umzug';
import type { Database } from './database.js';
import * as initial from './migrations/0001_initial.js';
import * as operationHistory from './migrations/0002_operation_history.js';
import * as fieldVersions from './migrations/0003_field_versions.js';
import * as compaction from './migrations/0004_compaction.js';
import * as fieldWinners from './migrations/0005_field_winners.js';
import * as taskLists from './migrations/0006_task_lists.js';
import * as applyStarts from './migrations/0007_apply_starts.js';
import * as unsettledByStatus from './migrations/0008_unsettled_by_status.js';
import * as putOff from './migrations/0009_put_off.js';
import * as compactionClock from './migrations/0010_compaction_clock.js';

/** Applied in this order, which is that of their names. */
const MIGRATIONS = [
  initial,
  operationHistory,
  fieldVersions,
  compaction,
  fieldWinners,
  taskLists,
  applyStarts,
  unsettledByStatus,
  putOff,
  compactionClock,
];

/** "TSYN" as a number: the key of the advisory lock. */
const MIGRATION_LOCK_KEY = 0x5453594e;

/** Brings the schema up to date. @returns the names of the migrations that ran now. */
export function migrate(database: Database): Promise<string[]> {
  return database.transaction(async (transaction) => {
    await database.select('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK_KEY], transaction);
    await database.sequelize.query(
      'CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
      { transaction },
    );
    const ran = await createUmzug(database, transaction).up();
    return ran.map((migration) => migration.name);
  });
}

/** Whether the database has every migration this build needs; false as well for a database that has none. */
export async function isMigrated(database: Database): Promise<boolean> {
  const [table] = await database.select<{ exists: boolean }>(
    "SELECT to_regclass('schema_migrations') IS NOT NULL AS exists",
    [],
  );
  if (table?.exists !== true) return false;
  const names = new Set((await appliedNames(database)).map((row) => row.name));
  return MIGRATIONS.every((migration) => names.has(migration.name));
}

function createUmzug(database: Database, transaction: Transaction) {
  return new Umzug({
    migrations: MIGRATIONS.map((migration) => ({
      name: migration.name,
      up: async () => {
        await database.sequelize.query(migration.up, { transaction });
      },
    })),
    storage: {
      executed: async () => (await appliedNames(database, transaction)).map((row) => row.name),
      logMigration: async ({ name }) => {
        await database.select('INSERT INTO schema_migrations (name) VALUES ($1)', [name], transaction);
      },
      unlogMigration: async ({ name }) => {
        await database.select('DELETE FROM schema_migrations WHERE name = $1', [name], transaction);
      },
    },
    logger: undefined,
  });
}

function appliedNames(database: Database, transaction?: Transaction) {
  return database.select<{ name: string }>('SELECT name FROM schema_migrations ORDER BY name', [], transaction);
}
