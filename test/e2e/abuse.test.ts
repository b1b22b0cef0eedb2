// A few hundred hostile requests of the 50,000 that `npm run chaos -- fuzz` sends, against real processes (I5, I7, I8).
import { expect } from 'chai';
import { FUZZ_TOKEN, fuzzSystem, readRoutes } from '../chaos/abuse/fuzzSystem.js';
import { ROUTE_SCHEMAS } from '../chaos/abuse/routeTable.js';
import { type RunningCluster, startProcesses } from '../support/cluster.js';

const SEED = 20_260_101;

describe('hostile requests', () => {
  let cluster: RunningCluster;

  before(async () => {
    const env = { ADMIN_TOKEN: FUZZ_TOKEN };
    cluster = await startProcesses(import.meta.url, { apis: 1, workers: 1, env });
  });

  after(() => cluster.stop());

  it('go to every route there is, and every schema to its route', async () => {
    const routes = await readRoutes(cluster.database.url);
    const calls = routes.flatMap(({ methods, path }) => methods.map((method) => `${method} ${path}`));
    const some = ['POST /api/sync/batch', 'GET /health', 'GET /admin/queues/api/queues'];
    expect(calls).to.include.members([...Object.keys(ROUTE_SCHEMAS), ...some]);
  });

  it('get no 5xx and nothing of another workspace, and leave the data as the log says', async () => {
    const amount = { seed: SEED, requests: 600, messages: 60, concurrency: 4 };
    const system = { url: cluster.urls[0] ?? '', databaseUrl: cluster.database.url };
    const report = await fuzzSystem(system, amount);
    expect(report).to.include({ requests: amount.requests, messages: amount.messages });
    // It is no test if nothing gets past the first check.
    expect(report.statuses[200] ?? 0).to.be.greaterThan(100);
    for (const { output } of [...cluster.apis, ...cluster.workers]) expect(output()).not.to.match(/"level":"error"/);
  });
});
