// The whole of scenario 24 on a running system: plants the other workspace, fuzzes, and checks what is left behind.
import { expect } from 'chai';
import { loadConfig } from '../../../config/index.js';
import { startApi } from '../../../src/api/startApi.js';
import { createLogger } from '../../../src/logger.js';
import { createShutdown } from '../../../src/shutdown.js';
import { createItem } from '../../support/operations.js';
import { createClient } from '../client.js';
import { type FuzzReport, fuzz } from './fuzz.js';
import { expectInvariants } from './invariants.js';
import { plantOtherWorkspace } from './otherWorkspace.js';
import { type Route, readRouteTable } from './routeTable.js';

/** The ADMIN_TOKEN that the api has to be started with. */
export const FUZZ_TOKEN = 'a-token-that-fuzzing-knows';
const SETTLE_MS = 30_000;

/** Reads the route table of an api that is started in this process for that: only there it shows. */
export async function readRoutes(databaseUrl: string): Promise<Route[]> {
  const logger = createLogger({ level: 'error', process: 'test' });
  const shutdown = createShutdown(logger, 5_000);
  const config = loadConfig({ NODE_ENV: 'test', PORT: '0', DATABASE_URL: databaseUrl });
  const { port } = await startApi(config, logger, shutdown);
  try {
    return await readRouteTable(`http://127.0.0.1:${port}`);
  } finally {
    await shutdown.run('the routes are read');
  }
}

/**
 * @param system its database holds nothing yet
 * @throws AssertionError with all findings
 */
export async function fuzzSystem(
  system: { url: string; databaseUrl: string },
  amount: { seed: number; requests: number; messages: number; concurrency: number },
): Promise<FuzzReport> {
  const { url, databaseUrl } = system;
  const routes = await readRoutes(databaseUrl);
  const other = await plantOtherWorkspace(databaseUrl);
  const before = await other.read();
  const pools = await fillPools(url, other.ids);
  const report = await fuzz({ url, routes, pools, canary: other.canary, ...amount });
  expect(report.findings.join('\n\n'), `seed ${amount.seed}`).to.equal('');
  await expectInvariants(url, databaseUrl, SETTLE_MS);
  expect(await other.read(), 'the other workspace').to.equal(before);
  return report;
}

/** Some tasks that exist, and what names them. */
async function fillPools(url: string, otherIds: string[]) {
  const ids = Array.from({ length: 10 }, (_, index) => `known-${index}`);
  const client = createClient(20_000);
  const { body } = await client.send('POST', `${url}/api/sync/batch`, { items: ids.map((id) => createItem(id)) });
  const list = await client.send('GET', `${url}/api/tasks?limit=2`);
  client.close();
  const next = /cursor=([^>&]+)/.exec(String(list.headers.link))?.[1] ?? '';
  return {
    id: [...ids, ...otherIds, body.batch_id, '1', '2', '3'],
    task_id: ids,
    admin_token: [FUZZ_TOKEN],
    client_id: ['phone', 'laptop'],
    op_id: ['op-1', 'op-2', ...ids],
    cursor: [body.cursor, decodeURIComponent(next)],
    updated_at: ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.123456+02:00', new Date().toISOString()],
    updated_since: ['2026-01-01T00:00:00Z', '2026-01-01 00:00:00+02:00'],
  };
}
