// Sessions of PostgreSQL inherit what an operator set for the server, the database or the role. What the code relies on it says itself, for
// every kind of connection; a database that it cannot use is refused with a sentence.
import { expect } from 'chai';
import { ConfigError, loadConfig } from '../../config/index.js';
import { createLogger } from '../../src/logger.js';
import { migrateDatabase } from '../../src/migrateDatabase.js';
import { runCompaction } from '../support/compaction.js';
import { requireDatabaseServer } from '../support/environment.js';
import { createItem, newId, updateItem } from '../support/operations.js';
import { createTestDatabase, queryDatabase } from '../support/postgres.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const HOSTILE: Record<string, string> = {
  datestyle: 'German, DMY',
  intervalstyle: 'sql_standard',
  timezone: 'Asia/Kathmandu',
  timezone_abbreviations: 'India',
  bytea_output: 'escape',
  client_encoding: 'LATIN1',
  standard_conforming_strings: 'off',
  backslash_quote: 'off',
  extra_float_digits: '-15',
  array_nulls: 'off',
  transform_null_equals: 'on',
  quote_all_identifiers: 'on',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  default_transaction_deferrable: 'on',
  session_replication_role: 'replica',
  row_security: 'off',
  plan_cache_mode: 'force_generic_plan',
  enable_indexscan: 'off',
  lc_messages: 'C',
  synchronous_commit: 'off',
  lock_timeout: '1ms',
  idle_in_transaction_session_timeout: '1ms',
  idle_session_timeout: '300ms',
  statement_timeout: '1ms',
};

const CANONICAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const AT = '2026-01-31T10:30:00.123456Z';
const logger = createLogger({ level: 'error', process: 'test' });

/** Sets all of them for a database, or for the role that uses it. */
async function setAll(url: string, where: 'DATABASE' | 'ROLE') {
  const { pathname, username } = new URL(url);
  const database = pathname.slice(1);
  const target = where === 'DATABASE' ? `DATABASE ${database}` : `ROLE ${username} IN DATABASE ${database}`;
  for (const [name, value] of Object.entries(HOSTILE)) {
    await queryDatabase(requireDatabaseServer(), `ALTER ${target} SET ${name} = '${value}'`);
  }
}

for (const where of ['DATABASE', 'ROLE'] as const) {
  describe(`with hostile settings of the ${where.toLowerCase()}`, () => {
    let system: System;
    before(async () => {
      const prepare = async (url: string) => {
        await setAll(url, where);
        return undefined;
      };
      system = await withQueue(startSystem(import.meta.url, { prepare }));
    });
    after(() => system.stop());

    it('operations are applied, conflicts decided, and times are read and written as they are', async () => {
      const id = newId('täsk-№');
      const title = `Backslash \\ quote ' NULL äöü 漢字`;
      const first = await system.push([
        createItem(id, { title, updated_at: AT }),
        createItem('NULL', { title: 'NULL' }),
      ]);
      expect(first.body.summary, JSON.stringify(first.body)).to.include({ success: 2 });
      expect(first.body.processed_items[0].resolved_data).to.include({ id, title, description: null, updated_at: AT });
      const older = await system.push([updateItem(id, { title: 'older', updated_at: '2026-01-31T10:29:59Z' })]);
      expect(older.body.processed_items[0].status).to.equal('conflict');
      const task = (await system.request('GET', `/api/tasks/${encodeURIComponent(id)}`)).body;
      expect(task).to.include({ title, updated_at: AT });
      expect(task.last_synced_at).to.match(CANONICAL);
      expect(Math.abs(Date.now() - Date.parse(task.last_synced_at))).to.be.below(60_000);
    });

    it('pulls, history, queue, retry, direct writes and compaction work', async () => {
      const id = newId('task');
      const created = await system.request('POST', '/api/tasks', { id, title: 'Direct' });
      expect(created.status).to.equal(201);
      expect((await system.request('PATCH', `/api/tasks/${id}`, { completed: true })).status).to.equal(200);
      const changes = (await system.request('GET', '/api/sync/changes?limit=1000')).body;
      expect(changes.changes.find((each: { id: string }) => each.id === id)).to.include({ title: 'Direct' });
      expect((await system.request('GET', `/api/tasks/${id}/history`)).status).to.equal(200);
      expect((await system.request('GET', '/api/sync/digest')).status).to.equal(200);
      expect((await system.request('POST', '/api/sync/trigger')).body.status).to.equal('completed');
      expect((await system.request('DELETE', `/api/tasks/${id}`)).status).to.equal(200);
      await runCompaction(system, () => Date.now() + 400 * 86_400_000);
      const [left] = await system.database.select<{ rows: number }>(
        'SELECT count(*) AS rows FROM tasks WHERE id = $1 AND NOT stub',
        [id],
      );
      expect(left?.rows).to.equal(0);
    });

    it('a commit is on disk before it is answered (I1), and sessions that idle are kept', async () => {
      const [settings] = await system.database.select<{ commit: string; style: string }>(
        "SELECT current_setting('synchronous_commit') AS commit, current_setting('datestyle') AS style",
        [],
      );
      expect(settings).to.deep.equal({ commit: 'on', style: 'ISO, YMD' });
      const sessions = () =>
        queryDatabase<{ pid: number }>(
          requireDatabaseServer(),
          "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE 'task-sync%' AND state = 'idle' AND state_change < now() - interval '1 second'",
          [new URL(system.config.database.url ?? '').pathname.slice(1)],
        );
      await eventually(async () => (await sessions()).length > 0);
    });
  });
}

describe('a database that cannot be used', () => {
  it('is refused at migrate with a sentence when it is not UTF-8', async () => {
    const database = await createTestDatabase(import.meta.url);
    const name = new URL(database.url).pathname.slice(1);
    await queryDatabase(requireDatabaseServer(), `DROP DATABASE ${name}`);
    await queryDatabase(
      requireDatabaseServer(),
      `CREATE DATABASE ${name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
    const config = loadConfig({ LOG_LEVEL: 'error' });
    const error = await migrateDatabase(database.url, config, logger).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(ConfigError);
    expect(String(error)).to.include('encoding LATIN1').and.to.include('needs UTF8');
    await database.drop();
  });

  it('is refused with a sentence when no schema is in its search_path', async () => {
    const database = await createTestDatabase(import.meta.url);
    const name = new URL(database.url).pathname.slice(1);
    await queryDatabase(requireDatabaseServer(), `ALTER DATABASE ${name} SET search_path = 'nowhere'`);
    const config = loadConfig({ LOG_LEVEL: 'error' });
    const error = await migrateDatabase(database.url, config, logger).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(ConfigError);
    expect(String(error)).to.include(`ALTER DATABASE "${name}" RESET search_path`);
    await database.drop();
  });
});
