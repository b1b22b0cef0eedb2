// `npm run db:psql`, `db:dump` and `db:url`: a client of the right version on the database of this environment, DATABASE_URL or the one that
// `npm start` runs on DATA_DIR. The npm package of PostgreSQL brings the server only.
import { spawn } from 'node:child_process';
import { Client } from 'pg';
import { ConfigError, loadConfig, readEnvironment } from '../config/index.js';
import { databaseUrlOf } from '../src/embedded/postgres.js';
import { chooseProgram, findPrograms } from './clientPrograms.js';

const DUMP_USAGE =
  'Usage: npm run db:dump -- [file]\nWrites a dump in the custom format of pg_dump to that file, or to task-sync-<time>.dump here.';
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

function findProgram(name: 'psql' | 'pg_dump', serverMajor: number): string {
  const { file, problem } = chooseProgram(name, findPrograms(name, readEnvironment().PATH ?? ''), serverMajor);
  if (file === undefined) throw new Refusal(problem);
  if (problem !== undefined) process.stderr.write(`${problem}\n`);
  return file;
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

/** The file of a dump; an option in its place would become a file of that name. */
function dumpFile(parameters: string[]): string {
  const [file, ...others] = parameters;
  if (file?.startsWith('-') || file === '' || others.length > 0) {
    throw new Refusal(
      `db:dump takes the name of a file and no options (it got ${JSON.stringify(parameters.join(' '))}).\n${DUMP_USAGE}`,
    );
  }
  return file ?? `task-sync-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.dump`;
}

async function dump(parameters: string[]): Promise<number> {
  if (parameters.includes('--help') || parameters.includes('-h')) {
    process.stdout.write(`${DUMP_USAGE}\n`);
    return 0;
  }
  const file = dumpFile(parameters);
  const url = findDatabase();
  const program = findProgram('pg_dump', await askMajor(url));
  const code = await run(program, url, ['--format=custom', `--file=${file}`]);
  if (code === 0) process.stderr.write(`The dump is ${file}; pg_restore --no-owner --dbname=... reads it.\n`);
  return code;
}

async function main([command, ...parameters]: string[]): Promise<number> {
  if (command === 'dump') return dump(parameters);
  const url = findDatabase();
  if (command === 'psql') return run(findProgram('psql', await askMajor(url)), url, parameters);
  process.stdout.write(`${url}\n`);
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refusal || error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
