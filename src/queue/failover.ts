// Connections to a Redis that has become a replica, as a failover leaves them that cuts no connection: they are made anew, because the name
// leads to the new master by now. All of a process together: one that only listens or publishes is never refused anything, and would stay.
import type { Redis } from 'ioredis';

export interface Failover {
  /** Takes a connection in until it ends. */
  watch(redis: Redis): void;
  /** ioredis's option of that name. */
  reconnectOnError(error: Error): false;
}

/** Also the answer of a replica that has lost its master. */
const IS_REPLICA = /\b(READONLY|MASTERDOWN)\b/;
/** Where the address leads to the same replica still, it is not tried more often. */
const RECONNECT_EVERY_MS = 2_000;

export function createFailover(): Failover {
  const connections = new Set<Redis>();
  let reconnectedAtMs = Number.NEGATIVE_INFINITY;
  return {
    watch(redis) {
      connections.add(redis);
      redis.once('end', () => connections.delete(redis));
    },
    reconnectOnError(error) {
      if (IS_REPLICA.test(error.message) && performance.now() - reconnectedAtMs >= RECONNECT_EVERY_MS) {
        reconnectedAtMs = performance.now();
        for (const redis of connections) if (redis.status === 'ready') redis.disconnect(true);
      }
      return false;
    },
  };
}
