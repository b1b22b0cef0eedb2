// A database of its own for each test file, on the server of the run. The migrated one is made once and copied, which takes tens of
// milliseconds where migrating takes seconds. With TEST_KEEP=1 a file with a failed test keeps its database.
import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { failedFiles, forgetCleanup, registerCleanup } from './cleanup.js';
import { keepsFailed, requireDatabaseServer } from './environment.js';

export interface TestDatabase {
  url: string;
  /** Removes it; if a test of its file has failed and TEST_KEEP is set, keeps it and says where it is. */
  drop(): Promise<void>;
}

type Migrate = (url: string) => Promise<unknown>;
const templates = new Map<Migrate, Promise<string>>();

/**
 * @param file `import.meta.url` of the test file
 * @param migrate brings an empty database to the product's schema; without it the database is empty
 */
export async function createTestDatabase(file: string, migrate?: Migrate): Promise<TestDatabase> {
  const template = migrate === undefined ? undefined : await ensureTemplate(migrate);
  const name = makeName(basename(fileURLToPath(file)).replace(/\W.*$/, ''));
  const url = await createDatabase(name, template);
  const database: TestDatabase = {
    url,
    drop: async () => {
      forgetCleanup(database);
      if (keepsFailed && failedFiles.has(file)) process.stdout.write(`      database of the failed test: ${url}\n`);
      else await dropDatabase(name);
    },
  };
  registerCleanup(database, database.drop);
  return database;
}

/** Runs one statement on a database and returns its rows. */
export async function queryDatabase<Row extends object>(
  url: string,
  statement: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(statement, values)).rows;
  } finally {
    await client.end();
  }
}

function ensureTemplate(migrate: Migrate): Promise<string> {
  const existing = templates.get(migrate);
  if (existing !== undefined) return existing;
  const made = makeTemplate(migrate);
  templates.set(migrate, made);
  return made;
}

async function makeTemplate(migrate: Migrate): Promise<string> {
  const name = makeName('template');
  await migrate(await createDatabase(name));
  registerCleanup({}, () => dropDatabase(name));
  return name;
}

async function createDatabase(name: string, template?: string): Promise<string> {
  const server = requireDatabaseServer();
  await queryDatabase(server, `CREATE DATABASE ${name}${template === undefined ? '' : ` TEMPLATE ${template}`}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

async function dropDatabase(name: string): Promise<void> {
  await queryDatabase(requireDatabaseServer(), `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}

function makeName(label: string): string {
  return `test_${label.toLowerCase()}_${randomBytes(5).toString('hex')}`;
}
