// What test/run.ts tells the tests, as environment variables: the only place of the tests that reads them.

// biome-ignore lint/style/noProcessEnv: the one reader of the tests
const env = process.env;

export type Backend = 'postgres' | 'redis';

/** The queue backend of this run: everything under integration/ and e2e/ runs once with each. */
export const testBackend: Backend = env.TEST_BACKEND === 'redis' ? 'redis' : 'postgres';

/** True if the databases of failed tests are wanted for a look. */
export const keepsFailed = env.TEST_KEEP === '1';

/** True where a missing program is a failure. */
export const isCi = env.CI === 'true';

/** The server to create databases on; its user may do so. */
export function requireDatabaseServer(): string {
  return requireVariable('TEST_DATABASE_URL');
}

/** A running Redis that the tests of this run share, each under its own prefix. Only in a run with the Redis backend. */
export function requireSharedRedis(): string {
  return requireVariable('TEST_REDIS_URL');
}

/** The folder of this run; everything below it is removed when the run ends. */
export function requireRunFolder(): string {
  return requireVariable('TEST_FOLDER');
}

/** The environment of a process that a test starts: what the system needs, nothing of what configures the product. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const names = ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR', 'SystemRoot', 'NODE_EXTRA_CA_CERTS'];
  return Object.fromEntries(names.filter((name) => env[name] !== undefined).map((name) => [name, env[name]]));
}

/** The environment of the test runner, and of the mocha runs it starts. */
export const runnerEnvironment: NodeJS.ProcessEnv = env;

function requireVariable(name: string): string {
  const value = env[name];
  if (value !== undefined && value !== '') return value;
  throw new Error(`${name} is not set: start the tests with \`npm test\` (a part of them with \`npm test -- <file>\`)`);
}
