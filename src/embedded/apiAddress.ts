// Where the API of a running `npm start` is reached, left in DATA_DIR/api.url for other commands: its port need not be the configured one.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findHolder } from './folderLock.js';
import { reachableHost } from './ports.js';

/** The address by which programs on this machine reach a server that listens on `host`. */
export function urlOf(host: string, port: number): string {
  const reachable = reachableHost(host);
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** Leaves the address, by the launcher that holds the folder. @returns its removal */
export function leaveApiAddress(dataDir: string, host: string, port: number): () => void {
  writeFileSync(fileOf(dataDir), `${urlOf(host, port)}\n`);
  return () => removeApiAddress(dataDir);
}

/** Removes what a launcher that was killed has left as well. */
export function removeApiAddress(dataDir: string): void {
  rmSync(fileOf(dataDir), { force: true });
}

/** The address that the running launcher of a folder has left; undefined if none runs, or if it is not up yet. */
export function readApiAddress(dataDir: string): string | undefined {
  if (findHolder(dataDir) === undefined) return undefined;
  try {
    return readFileSync(fileOf(dataDir), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function fileOf(dataDir: string): string {
  return join(dataDir, 'api.url');
}
