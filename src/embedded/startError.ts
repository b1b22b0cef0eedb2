// The faults of a start that were foreseen: their message is the whole text that the person at the terminal gets, without a stack.
import { existsSync, statSync } from 'node:fs';
import { dirname, sep } from 'node:path';

export class StartError extends Error {
  override name = 'StartError';
}

/** What to say of a file that could not be made, read or written, or undefined when the error is of another kind. */
export function describeFileFault(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('path' in error)) return undefined;
  const path = String(error.path);
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return `No permission to use ${path}. Start as the user it belongs to, or choose another data folder: DATA_DIR=/path/to/folder npm start`;
    case 'EROFS':
      return `${path} is on a read-only disk. Choose another data folder: DATA_DIR=/path/to/folder npm start`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `The disk is full: ${path} could not be written.`;
    case 'ENOTDIR':
    case 'EEXIST':
      return `${findFile(path)} is a file where a folder is needed. Choose another data folder: DATA_DIR=/path/to/folder npm start`;
    default:
      return undefined;
  }
}

/** The same for what is missing below the folder in use: it was there. */
export function describeRemoval(error: unknown, dataDir: string): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('path' in error) || error.code !== 'ENOENT')
    return undefined;
  let missing = String(error.path);
  if (!missing.startsWith(dataDir + sep)) return undefined;
  while (missing !== dataDir && !existsSync(dirname(missing))) missing = dirname(missing);
  const what = missing === dataDir ? `The data folder ${dataDir}` : missing;
  return `${what} was removed while Task Sync ran; it stops. Put it back from a backup, or start anew: npm start`;
}

/** The system names the path that was wanted, not the file on the way to it. */
function findFile(path: string): string {
  let found = path;
  while (!existsSync(found) && dirname(found) !== found) found = dirname(found);
  return statSync(found).isDirectory() ? path : found;
}
