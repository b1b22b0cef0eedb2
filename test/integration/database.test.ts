// The database under strain: migrations started together, locks that are held, statements that take too long.
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { expect } from 'chai';
import { loadConfig } from '../../config/index.js';
import { createLogger } from '../../src/logger.js';
import { migrateDatabase } from '../../src/migrateDatabase.js';
import { openDatabase } from '../../src/storage/database.js';
import { classifyFault } from '../../src/sync/retryPolicy.js';
import { createTestDatabase, queryDatabase } from '../support/postgres.js';
import { eventually, type System, startSystem } from '../support/system.js';

const logger = createLogger({ level: 'error', process: 'test' });

/** The compiled migrations, by name. */
function migrationFiles(): string[] {
  const files = readdirSync(new URL('../../src/storage/migrations/', import.meta.url));
  return files.flatMap((file) => (file.endsWith('.js') ? [file.slice(0, -3)] : [])).toSorted();
}

describe('migrations', () => {
  it('run once, every one there is, in the order of their names, when six processes start together', async () => {
    const database = await createTestDatabase(import.meta.url);
    const config = loadConfig({ LOG_LEVEL: 'error' });
    await Promise.all(Array.from({ length: 6 }, () => migrateDatabase(database.url, config, logger)));
    const applied = await queryDatabase<{ name: string }>(
      database.url,
      'SELECT name FROM schema_migrations ORDER BY applied_at, name',
    );
    expect(applied.map((row) => row.name)).to.deep.equal(migrationFiles());
    const workspaces = await queryDatabase<{ id: string }>(database.url, 'SELECT id FROM workspaces');
    expect(workspaces).to.deep.equal([{ id: 'default' }]);
    await database.drop();
  });

  it('leave nothing of one that fails', async () => {
    const database = await createTestDatabase(import.meta.url);
    await queryDatabase(database.url, 'CREATE TABLE sync_queue (in_the_way int)');
    const failed = await migrateDatabase(database.url, loadConfig({}), logger).catch((error: unknown) => error);
    expect(failed).to.be.instanceOf(Error);
    const tables = await queryDatabase<{ tablename: string }>(
      database.url,
      "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    );
    expect(tables).to.deep.equal([{ tablename: 'sync_queue' }]);
    await database.drop();
  });
});

/** A message of PostgreSQL's protocol: its type, its length, its content. */
function protocolMessage(type: string, content: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

describe('a session that PostgreSQL ends in the very packet that makes it usable', () => {
  it('fails its statement as an outage does, and the process lives', async () => {
    const ended = Buffer.concat([
      protocolMessage('R', Buffer.from([0, 0, 0, 0])),
      protocolMessage('Z', Buffer.from('I')),
      protocolMessage('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0')),
    ]);
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(ended));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const address = { host: '127.0.0.1', port, user: 'u', password: 'p', database: 'd', ssl: false as const };
    const database = openDatabase(address, loadConfig({}).database, 'test');
    const failed = await database.select('SELECT 1', []).catch((error: unknown) => error);
    expect(failed).to.be.instanceOf(Error);
    expect(classifyFault(failed)).to.equal('transient');
    await database.close();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('a workspace that somebody keeps locked', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url, { env: { DATABASE_LOCK_TIMEOUT_MS: '200' } });
  });
  after(() => system.stop());

  it('makes direct writes answer 503 with Retry-After, and batches wait; nothing fails because of it', async () => {
    const item = {
      client_id: 'phone',
      op_id: 'locked-1',
      operation: 'create',
      data: { id: 'locked-1', title: 'Task' },
    };
    let batchId = '';
    await system.database.transaction(async (transaction) => {
      await system.database.select("SELECT id FROM workspaces WHERE id = 'default' FOR UPDATE", [], transaction);
      const direct = await system.request('POST', '/api/tasks', { title: 'Task' });
      expect(direct.status).to.equal(503);
      expect(Number(direct.headers.get('retry-after'))).to.be.greaterThan(0);
      expect(direct.body).to.include({ code: 'unavailable', status: 503 });
      const batch = await system.push([item], {}, { prefer: 'wait=1' });
      expect(batch.status).to.equal(202);
      batchId = batch.body.batch_id;
    });
    const settled = await system.push([item], {}, { prefer: 'wait=20' });
    expect(settled.body.processed_items[0]).to.include({ status: 'success', duplicate: true });
    expect((await system.request('GET', `/api/sync/batches/${batchId}`)).body.status).to.equal('completed');
    const [row] = await system.database.select<{ retryCount: number }>(
      `SELECT retry_count AS "retryCount" FROM sync_queue WHERE op_id = 'locked-1'`,
      [],
    );
    expect(row?.retryCount).to.equal(0);
  });

  it('connections that are cut answer 503 at worst, and new ones take their place', async () => {
    await system.database.select(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'task-sync api'",
      [],
    );
    await eventually(async () => {
      const answer = await system.request('GET', '/api/tasks');
      expect(answer.status).to.be.oneOf([200, 503]);
      return answer.status === 200;
    });
  });
});
