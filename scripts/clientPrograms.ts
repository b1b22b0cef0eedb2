// Which psql or pg_dump of this machine fits a server: the first of its major version or a later one.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Debian keeps each major version. */
const DEBIAN = '/usr/lib/postgresql';

/** A program and the major version that it says it is of. */
export interface ClientProgram {
  file: string;
  major: number;
}

/** Each program of this name, on the path and where Debian keeps them. */
export function findPrograms(name: string, path: string): ClientProgram[] {
  const debian = existsSync(DEBIAN) ? readdirSync(DEBIAN).map((version) => join(DEBIAN, version, 'bin')) : [];
  const files = [...path.split(delimiter), ...debian]
    .map((folder) => join(folder, name))
    .filter((file) => existsSync(file));
  return files.flatMap((file) => {
    const version = spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout?.match(/\(PostgreSQL\) (\d+)/)?.[1];
    return version === undefined ? [] : [{ file, major: Number(version) }];
  });
}

/**
 * The program to run. `problem` says what is missing: without `file` nothing can be run, with it (psql of an older version) not all works.
 * pg_dump refuses servers of a later version than its own; psql connects to them, and only some of its `\` commands fail.
 */
export function chooseProgram(
  name: 'psql' | 'pg_dump',
  found: readonly ClientProgram[],
  serverMajor: number,
): { file?: string; problem?: string } {
  const byAge = [...found].sort((a, b) => a.major - b.major);
  const fits = byAge.find(({ major }) => major >= serverMajor);
  if (fits !== undefined) return { file: fits.file };
  const newest = byAge.at(-1);
  const source = `Debian and Ubuntu have it as postgresql-client-${serverMajor}, if need be from apt.postgresql.org (PGDG); elsewhere it comes with PostgreSQL ${serverMajor}.`;
  if (newest !== undefined && name === 'psql') {
    const problem = `psql ${newest.major} is older than the database, PostgreSQL ${serverMajor}: SQL works, some \\ commands may not. For psql ${serverMajor}: ${source}`;
    return { file: newest.file, problem };
  }
  const what = newest === undefined ? `There is no ${name} here` : `${name} ${newest.major} is too old`;
  return {
    problem: `${what}: the database is PostgreSQL ${serverMajor} and wants ${name} ${serverMajor} or later. ${source}`,
  };
}
