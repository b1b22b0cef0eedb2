// The systems of a part, each started when its first variant wants it.
import type { Bench } from './bench.js';
import { startNaive, startNpmPeer, startWithoutQueue } from './peers.js';
import { createDatabase } from './servers.js';
import { startStack } from './stack.js';
import { once, type Running } from './variants.js';

type Start = () => Promise<Running>;

export interface Systems {
  /** The product, its queue on Redis, with this many workers. */
  product(workers?: number): Start;
  /** The product, its queue on PostgreSQL, as `npm start` runs it without a redis-server. */
  productOnPostgres: Start;
  withoutQueue: Start;
  naive: Start;
  pouchdb: Start;
  rxdb: Start;
  rawSql: Start;
}

export function createSystems(bench: Bench): Systems {
  const products = new Map<number, Start>();
  const overHttp = (
    protocol: 'taskSync' | 'pouchdb' | 'rxdb',
    start: () => Promise<{ url: string; processes: Running['processes'] }>,
  ) =>
    once(async () => {
      const { url, processes } = await start();
      return { target: { protocol, url }, processes };
    });
  return {
    product(workers = 1) {
      const known =
        products.get(workers) ?? overHttp('taskSync', () => startStack(bench, { name: `workers_${workers}`, workers }));
      products.set(workers, known);
      return known;
    },
    productOnPostgres: overHttp('taskSync', () =>
      startStack(bench, { name: 'queue_on_postgres', backend: 'postgres' }),
    ),
    withoutQueue: overHttp('taskSync', () => startWithoutQueue(bench)),
    naive: overHttp('taskSync', () => startNaive(bench)),
    pouchdb: overHttp('pouchdb', () => startNpmPeer(bench, 'pouchdb')),
    rxdb: overHttp('rxdb', () => startNpmPeer(bench, 'rxdb')),
    rawSql: once(async () => {
      const databaseUrl = await createDatabase(bench.servers, 'raw_sql');
      return { target: { protocol: 'sql', databaseUrl }, processes: [] };
    }),
  };
}
