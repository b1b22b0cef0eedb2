// Is this process the command of an npm script? npm tells its scripts by environment variables, which everything that they start inherits.

/**
 * True for the process that npm runs itself, false for whatever that starts, and for a script that sends it to the background.
 * @param entry path of the file that this process runs
 */
export function isCommandOfNpm(
  // biome-ignore lint/style/noProcessEnv: config/ reads the environment
  env: NodeJS.ProcessEnv = process.env,
  entry: string = process.argv[1] ?? '',
): boolean {
  const words = env.npm_lifecycle_script?.trim().split(/\s+/) ?? [];
  if (words.at(-1)?.endsWith('&')) return false;
  const path = entry.replaceAll('\\', '/');
  return words.some((word) => word.endsWith('.js') && `/${path}`.endsWith(`/${word.replace(/^\.\//, '')}`));
}
