// The total order of writes (I4): of two writes to the same task the one with the higher version wins, whichever arrives first.

export interface Version {
  /** Effective time, canonical (see timestamp.ts). */
  updatedAt: string;
  clientId: string;
  opId: string;
}

/** Below every version that an operation can have. */
export const LOWEST_VERSION: Version = { updatedAt: '', clientId: '', opId: '' };

/**
 * Compares two versions by (updatedAt, clientId, opId).
 * @returns a negative number, zero or a positive number, as for Array.sort. Zero means: the very same operation.
 */
export function compareVersions(a: Version, b: Version): number {
  return compareText(a.updatedAt, b.updatedAt) || compareText(a.clientId, b.clientId) || compareText(a.opId, b.opId);
}

/** Code unit order, not the locale's: every process on every machine must pick the same winner. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
