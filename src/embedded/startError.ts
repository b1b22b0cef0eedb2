// The faults of a start that were foreseen: their message is the whole text that the person at the terminal gets, without a stack.

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
      return `${path} is a file where a folder is needed. Choose another data folder: DATA_DIR=/path/to/folder npm start`;
    default:
      return undefined;
  }
}
