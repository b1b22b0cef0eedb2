// A stack whose processes reach PostgreSQL and Redis through proxies of ours. The check goes to the servers directly.
import { startProxy, type TcpProxy } from './proxy.js';
import type { Faults } from './proxyConnection.js';
import type { ScenarioContext } from './scenario.js';
import { type Stack, type StackOptions, startStack } from './stack.js';

export interface ProxiedStack {
  stack: Stack;
  database: TcpProxy;
  /** Undefined where the queue is in PostgreSQL. */
  redis: TcpProxy | undefined;
  /** The same faults on both ways. */
  setBoth(faults: Partial<Faults>): Promise<void>;
  heal(): Promise<void>;
  /** Stops the servers and the proxies; writes down how often which fault struck. */
  stop(): Promise<void>;
}

export async function startBehindProxies(context: ScenarioContext, options: StackOptions): Promise<ProxiedStack> {
  let database: TcpProxy | undefined;
  let redis: TcpProxy | undefined;
  const stack = await startStack(context, {
    ...options,
    databaseUrl: async (direct) => {
      database = await startProxy(direct, context.seed);
      return database.url;
    },
    redisUrl: async (direct) => {
      if (direct === '') return direct;
      redis = await startProxy(direct, context.seed + 1);
      return redis.url;
    },
  });
  if (database === undefined) throw new Error('the stack asked for no address of PostgreSQL');
  const proxies = [database, ...(redis === undefined ? [] : [redis])];
  const setBoth = async (faults: Partial<Faults>) =>
    void (await Promise.all(proxies.map((proxy) => proxy.set(faults))));
  return {
    stack,
    database,
    redis,
    setBoth,
    heal: () => setBoth({}),
    async stop() {
      for (const [name, proxy] of [
        ['PostgreSQL', database],
        ['Redis', redis],
      ] as const) {
        if (proxy === undefined) continue;
        const { resets, swallowed, commitsLost } = proxy.counts;
        for (const [kind, count] of Object.entries({ resets, swallowed, commitsLost })) {
          if (count > 0) context.measures.faults[`${name}: ${kind}`] = count;
        }
        await proxy.close();
      }
      await stack.stopServers();
    },
  };
}
