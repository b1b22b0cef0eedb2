// The environment of this process, for what the suite starts: the only place of the suite that reads it.

// biome-ignore lint/style/noProcessEnv: the one reader of the suite
const env = process.env;

/** What the system needs, nothing of what configures the product: a DATABASE_URL in the shell must not be measured. */
export const plainEnvironment: NodeJS.ProcessEnv = Object.fromEntries(
  ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR', 'SystemRoot', 'NODE_EXTRA_CA_CERTS']
    .filter((name) => env[name] !== undefined)
    .map((name) => [name, env[name]]),
);

/** Of npm, which reads much more. */
export const wholeEnvironment: NodeJS.ProcessEnv = env;
