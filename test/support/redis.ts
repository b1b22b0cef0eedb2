// Redis for tests: the shared one of the run under a prefix of one's own, or a server of one's own to flush, stop and start again.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Child } from '../../src/embedded/child.js';
import { findRedis, startRedis } from '../../src/embedded/redis.js';
import { forgetCleanup, registerCleanup } from './cleanup.js';
import { plainEnvironment } from './environment.js';
import { createTestFolder } from './folders.js';

const STOP_LIMIT_MS = 5_000;

/** A queue prefix that no other test uses, hash-tagged as Redis Cluster wants it. */
export function uniquePrefix(): string {
  return `{test-${randomBytes(6).toString('hex')}}`;
}

export interface TestRedis {
  url: string;
  /** Stops the server; its data stays. */
  stop(): Promise<void>;
  /** Starts it again at the same address. It may take a moment until it answers. */
  start(): void;
  /** Ends it for good and removes its data. */
  remove(): Promise<void>;
}

/** True where a Redis of one's own can be started. */
export function canStartRedis(): boolean {
  return typeof findRedis(plainEnvironment().PATH ?? '') !== 'string';
}

/** A Redis server of one's own, started and answering. */
export async function startTestRedis(): Promise<TestRedis> {
  const env = plainEnvironment();
  const program = findRedis(env.PATH ?? '');
  if (typeof program === 'string') throw new Error(`No Redis for this test: ${program}`);
  const folder = createTestFolder('redis');
  const server = await startRedis({
    program,
    dataDir: folder.path,
    logFile: join(folder.path, 'redis.log'),
    env,
    track: () => undefined,
    say: () => undefined,
    signal: new AbortController().signal,
  });
  let child: Child = server.child;
  const redis: TestRedis = {
    url: server.url,
    stop: async () => void (await child.stop(STOP_LIMIT_MS)),
    start: () => {
      child = server.restart();
    },
    remove: async () => {
      forgetCleanup(redis);
      await child.stop(STOP_LIMIT_MS);
      await folder.remove();
    },
  };
  registerCleanup(redis, redis.remove);
  return redis;
}
