// Opening the database with sessions that are as the code needs them, also behind a pooler that keeps us from saying so; a database where
// they cannot be is refused with a sentence.
import { type Config, ConfigError } from '../config/index.js';
import { type DatabaseAddress, resolveDatabaseAddress } from './databaseAddress.js';
import type { Logger } from './logger.js';
import { MARK, SESSION_SETTINGS, SESSION_TIMEOUTS } from './sessionSettings.js';
import { type Database, openDatabase } from './storage/database.js';

export interface Opened {
  database: Database;
  address: DatabaseAddress;
}

/**
 * Opens and checks. Where a pooler refuses the settings, sessions have what they inherit.
 * @throws ConfigError for a database or a session that cannot be used, the driver's error for one that does not answer
 */
export async function openChecked(
  url: string,
  options: Config['database'],
  processName: string,
  logger: Logger,
): Promise<Opened> {
  const address = await resolveDatabaseAddress(url, options.connectTimeoutMs);
  try {
    return await openOn(address, options, processName, logger);
  } catch (error) {
    if (!(error instanceof Error && /unsupported startup parameter/.test(error.message))) throw error;
    const { options: _refused, ...bare } = address;
    return openOn(bare, options, processName, logger);
  }
}

async function openOn(address: DatabaseAddress, options: Config['database'], processName: string, logger: Logger) {
  const warn = (message: string) => logger.warn(message);
  const database = openDatabase(address, { ...options, warn }, processName);
  try {
    await checkDatabase(database, address, warn);
    return { database, address };
  } catch (error) {
    await database.close();
    throw error;
  }
}

interface Found {
  encoding: string;
  schema: string | null;
  isMarked: boolean;
  /** Settings with which sessions begin, whatever was set in this one. */
  settings: Record<string, string>;
  /** Whether `synchronous_commit` was set for the role or the database, not for the whole server. */
  isCommitAltered: boolean;
}

const FIND = `
SELECT current_setting('server_encoding') AS encoding, current_schema() AS schema,
  COALESCE(current_setting($2, true), '') <> '' AS "isMarked",
  (SELECT json_object_agg(name, reset_val) FROM pg_settings WHERE name = ANY($1)) AS settings,
  EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS c(text) WHERE c.text LIKE 'synchronous_commit=%'
    AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))) AS "isCommitAltered"`;

/** Shorter ones would end what is usual. */
const TIMEOUT_MIN_MS = 1_000;

async function checkDatabase(database: Database, address: DatabaseAddress, warn: (message: string) => void) {
  const names = [...Object.keys(SESSION_SETTINGS), ...SESSION_TIMEOUTS, 'synchronous_commit'];
  const [found] = await database.select<Found>(FIND, [names, MARK]);
  if (found === undefined) throw new Error('PostgreSQL did not say its settings');
  if (found.encoding !== 'UTF8') {
    throw new ConfigError(
      `The database "${address.database}" has the encoding ${found.encoding}; Task Sync needs UTF8. Create another one: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0, and move the data with pg_dump and pg_restore.`,
    );
  }
  if (found.schema === null) {
    throw new ConfigError(
      `No schema of the database "${address.database}" is in the search_path of the user "${address.user}". Undo that: ALTER ROLE "${address.user}" RESET search_path; ALTER DATABASE "${address.database}" RESET search_path; or create the schema that it names.`,
    );
  }
  // Said at connect; else they have to be right by themselves.
  if (found.isMarked) return;
  const wrong = wrongSettings(found);
  if (wrong.length > 0) throw new ConfigError(describeWrong(wrong, address));
  if (found.settings.synchronous_commit === 'off') {
    warn(
      'The server has synchronous_commit = off, and a pooler keeps Task Sync from setting it: a crash of PostgreSQL may lose what was answered with success in the last moments.',
    );
  }
  if (found.settings.statement_timeout === '0') {
    warn(
      `A pooler keeps Task Sync from setting statement_timeout, lock_timeout and idle_in_transaction_session_timeout, and the role has none: a session that hangs may hold its locks for long. ALTER ROLE "${address.user}" SET statement_timeout = '10s', and so on, or add \`options\` and these three to ignore_startup_parameters.`,
    );
  }
}

interface Wrong {
  name: string;
  value: string;
  needed: string;
}

function wrongSettings({ settings, isCommitAltered }: Found): Wrong[] {
  const differing = Object.entries(SESSION_SETTINGS).filter(
    ([name, needed]) => !isSame(name, settings[name] ?? '', needed),
  );
  const short = SESSION_TIMEOUTS.filter((name) => {
    const value = Number(settings[name] ?? 0);
    return value > 0 && value < TIMEOUT_MIN_MS;
  });
  return [
    ...differing.map(([name, needed]) => ({ name, value: settings[name] ?? '', needed })),
    ...short.map((name) => ({ name, value: `${settings[name]} ms`, needed: `0 or at least ${TIMEOUT_MIN_MS} ms` })),
    ...(settings.synchronous_commit === 'off' && isCommitAltered
      ? [{ name: 'synchronous_commit', value: 'off', needed: 'on' }]
      : []),
  ];
}

/** Of a style of dates the output counts: input is always ISO 8601. UTC has several names. */
function isSame(name: string, value: string, needed: string): boolean {
  if (name === 'DateStyle') return value.startsWith('ISO');
  if (name === 'TimeZone') return /^(Etc\/)?(UTC|UCT|GMT|Universal|Zulu)$/i.test(value);
  if (name === 'extra_float_digits') return Number(value) >= 1;
  return value === needed || (value === '' && name === 'timezone_abbreviations');
}

function describeWrong(wrong: Wrong[], { user, database }: DatabaseAddress): string {
  const lines = wrong.map(
    ({ name, value, needed }) =>
      `The sessions of the database begin with ${name} = ${value}; Task Sync needs ${needed}, and a pooler in between keeps it from setting that. Undo it: ALTER ROLE "${user}" IN DATABASE "${database}" RESET ${name}; ALTER ROLE "${user}" RESET ${name}; ALTER DATABASE "${database}" RESET ${name}; or ALTER ROLE "${user}" SET ${name} = '${needed}'. Then restart the pooler.`,
  );
  return lines.join('\n');
}
