// Which installation a queue belongs to. Redis knows nothing of databases: its channels reach across database numbers, and two installations with one
// QUEUE_PREFIX share their keys. So both carry a name that is made of what the database is: the same for all processes on it, the same after a
// failover, and another one for every other database (I12). When the database becomes another one under running processes, they move.
import { createHash } from 'node:crypto';
import type { TimeLine } from '../timeLine.js';

/**
 * The name of the installation.
 * @param incarnation of its database (FeedHead): the cluster's identifier, its timeline, the database, the table, what sync_identity says. A failover
 *   changes the timeline alone, which therefore does not count
 */
export function installationOf(incarnation: string): string {
  const [cluster, , ...others] = incarnation.split('-');
  return createHash('sha256')
    .update(JSON.stringify([cluster, ...others]))
    .digest('hex')
    .slice(0, 16);
}

export interface QueueHome {
  /** The name of the installation. */
  installation(): string;
  /** Calls `listener` when what was opened has to be opened anew. @returns how to stop that */
  onMove(listener: () => void): () => void;
}

/**
 * @param backend Redis keeps the jobs of an installation whatever server its database is on; a queue in PostgreSQL is wherever the database is now,
 *   so any other time line may be on another server
 */
export function createQueueHome(
  timeLine: Pick<TimeLine, 'current' | 'onChange'>,
  backend: 'redis' | 'postgres',
): QueueHome {
  const listeners = new Set<() => void>();
  let installation = installationOf(timeLine.current());
  timeLine.onChange((incarnation) => {
    const next = installationOf(incarnation);
    if (backend === 'redis' && next === installation) return;
    installation = next;
    for (const listener of [...listeners]) listener();
  });
  return {
    installation: () => installation,
    onMove(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
