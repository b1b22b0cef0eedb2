// What a session of PostgreSQL would inherit from the server, the database and the role (ALTER ... SET), and the code relies on. It is sent when
// a session begins, where it is stronger than what is inherited.

/** Marks sessions that were given the settings. */
export const MARK = 'task_sync.session';

/** How texts of the database are written and read, and what statements may do. Names and values as pg_settings shows them. */
export const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  timezone_abbreviations: 'Default',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  extra_float_digits: '1',
  array_nulls: 'on',
  transform_null_equals: 'off',
  row_security: 'on',
  plan_cache_mode: 'auto',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
};

/** None by default: who needs a limit sets his own. */
export const SESSION_TIMEOUTS = [
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
];

/** The startup parameter `options` with all of them. */
export const SESSION_OPTIONS = [
  ...Object.entries(SESSION_SETTINGS),
  ...SESSION_TIMEOUTS.map((name) => [name, '0'] as const),
  [MARK, '1'] as const,
]
  .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`)
  .join(' ');

/**
 * For sessions that accept operations: what is committed is on disk (I1), unless an operator chose more than `on`; and what only newer
 * versions know. One statement, because `options` cannot say it.
 */
export const DURABLE_SESSION = `SELECT
  CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END,
  CASE WHEN current_setting('transaction_timeout', true) <> '0' THEN set_config('transaction_timeout', '0', false) END`;
