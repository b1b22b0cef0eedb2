// The proxy that loses the answers to commits, against a real PostgreSQL: what it cuts off is done all the same (scenario 9 relies on it).
import { expect } from 'chai';
import pg from 'pg';
import { startProxy, type TcpProxy } from '../chaos/proxy.js';
import { createTestDatabase, queryDatabase, type TestDatabase } from '../support/postgres.js';

describe('a proxy that loses the answers to commits', () => {
  let database: TestDatabase;
  let proxy: TcpProxy;

  before(async () => {
    database = await createTestDatabase(import.meta.url);
    await queryDatabase(database.url, 'CREATE TABLE done (what text)');
    proxy = await startProxy(database.url, 1);
  });

  after(async () => {
    await proxy.close();
    await database.drop();
  });

  beforeEach(() => proxy.heal());

  /** Connects while nothing fails, then loses every commit. @returns the error that the caller sees */
  async function loses(work: (client: pg.Client) => Promise<unknown>): Promise<unknown> {
    const client = new pg.Client({ connectionString: proxy.url });
    const broken = new Promise((resolve) => client.once('end', resolve));
    // A reset is told twice: what is asked under way fails as well.
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await work(client).then(
        () => undefined,
        (error: unknown) => error,
      );
    } finally {
      await broken;
    }
  }

  async function expectDone(what: string) {
    const rows = await queryDatabase(database.url, 'SELECT what FROM done WHERE what = $1', [what]);
    expect(rows).to.have.length(1);
  }

  it('loses a COMMIT that is done', async () => {
    const error = await loses(async (client) => {
      await client.query('BEGIN');
      await client.query('INSERT INTO done VALUES ($1)', ['in a transaction']);
      await proxy.set({ commitLossRate: 1 });
      await client.query('COMMIT');
    });
    expect(error).to.be.an('error');
    await expectDone('in a transaction');
  });

  it('loses a statement of its own that is done, also a prepared one by its name', async () => {
    const error = await loses(async (client) => {
      const insert = {
        name: 'insert',
        text: 'WITH v AS (SELECT $1::text AS what) INSERT INTO done SELECT what FROM v',
      };
      await client.query({ ...insert, values: ['before'] });
      await proxy.set({ commitLossRate: 1 });
      await client.query('SELECT 1');
      await client.query({ ...insert, values: ['on its own'] });
    });
    expect(error).to.be.an('error');
    await expectDone('on its own');
    expect(proxy.counts.commitsLost).to.equal(2);
  });
});
