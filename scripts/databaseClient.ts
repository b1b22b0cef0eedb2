// `npm run db:psql`, `db:dump` and `db:url`: a client of the right version on the database of this environment, DATABASE_URL or the one that
// `npm start` runs on DATA_DIR. The npm package of PostgreSQL brings the server only.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Client } from 'pg';
import { ConfigError, loadConfig, readEnvironment } from '../config/index.js';
import { databaseUrlOf } from '../src/embedded/postgres.js';

/** Where Debian keeps each major version. */
const DEBIAN = '/usr/lib/postgresql';
const CONNECT_LIMIT_MS = 5_000;

class Refusal extends Error {}

function findDatabase(): string {
  const { database, dataDir } = loadConfig();
  const url = database.url ?? databaseUrlOf(dataDir);
  if (url !== undefined) return url;
  throw new Refusal(
    `DATABASE_URL is not set, and no \`npm start\` runs on ${dataDir}. Start it in another terminal, or set DATABASE_URL or DATA_DIR.`,
  );
}

async function askMajor(url: string): Promise<number> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_LIMIT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version_num: string }>('SHOW server_version_num');
    return Math.floor(Number(rows[0]?.server_version_num) / 10_000);
  } catch (error) {
    throw new Refusal(`The database does not answer (${error instanceof Error ? error.message : error}).`);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Each program of this name, with its major version. */
function findPrograms(name: string, path: string): { file: string; major: number }[] {
  const debian = existsSync(DEBIAN) ? readdirSync(DEBIAN).map((version) => join(DEBIAN, version, 'bin')) : [];
  const files = [...path.split(delimiter), ...debian]
    .map((folder) => join(folder, name))
    .filter((file) => existsSync(file));
  return files.flatMap((file) => {
    const version = spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout?.match(/\(PostgreSQL\) (\d+)/)?.[1];
    return version === undefined ? [] : [{ file, major: Number(version) }];
  });
}

/** pg_dump and psql know servers up to their own version. */
function chooseProgram(name: string, serverMajor: number): string {
  const found = findPrograms(name, readEnvironment().PATH ?? '');
  const fits = found.filter(({ major }) => major >= serverMajor).sort((a, b) => a.major - b.major);
  if (fits[0] !== undefined) return fits[0].file;
  const what =
    found.length === 0
      ? `There is no ${name} here`
      : `${name} ${Math.max(...found.map(({ major }) => major))} is too old`;
  throw new Refusal(
    `${what}: the database is PostgreSQL ${serverMajor} and wants ${name} ${serverMajor} or later. Debian and Ubuntu have it as postgresql-client-${serverMajor}, if need be from apt.postgresql.org; elsewhere it comes with PostgreSQL ${serverMajor}.`,
  );
}

/** Runs a client; the password does not appear in the list of processes. */
function run(program: string, url: string, parameters: string[]): Promise<number> {
  const address = new URL(url);
  const password = decodeURIComponent(address.password);
  address.password = '';
  const env = { ...readEnvironment(), ...(password === '' ? {} : { PGPASSWORD: password }) };
  const child = spawn(program, ['--dbname', address.href, ...parameters], { env, stdio: 'inherit' });
  // Ctrl-C in psql ends a statement, not psql.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function main([command, ...parameters]: string[]): Promise<number> {
  const url = findDatabase();
  if (command === 'url') {
    process.stdout.write(`${url}\n`);
    return 0;
  }
  const major = await askMajor(url);
  if (command === 'psql') return run(chooseProgram('psql', major), url, parameters);
  const file = parameters[0] ?? `task-sync-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.dump`;
  const code = await run(chooseProgram('pg_dump', major), url, ['--format=custom', `--file=${file}`]);
  if (code === 0) process.stderr.write(`The dump is ${file}; pg_restore --no-owner --dbname=... reads it.\n`);
  return code;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refusal || error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
