// What the benchmark counts, seen from a server that answers as ordered: being told to come later is neither work done nor a fault.
import { createServer, type Server } from 'node:http';
import { expect } from 'chai';
import { connect } from '../../bench/generator/connection.js';
import { type Exchange, NOTHING } from '../../bench/generator/jobs.js';
import { runLoad } from '../../bench/generator/load.js';

const read = (text: string): Exchange => ({ ...NOTHING, settled: Number(text) });
const request = { method: 'POST', path: '/', body: '{}' } as const;
const window = { begin: () => undefined, end: () => undefined };

describe('an exchange of the benchmark', () => {
  let server: Server;
  let url: string;
  /** Statuses of the next answers; 200 when there are none left. */
  let statuses: number[] = [];
  before(async () => {
    server = createServer((_, response) => void response.writeHead(statuses.shift() ?? 200).end('50'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  });
  after(() => new Promise((resolve) => server.close(resolve)));

  for (const [status, expected] of [
    [200, { settled: 50, refused: 0, errors: 0 }],
    [202, { settled: 50, refused: 0, errors: 0 }],
    [429, { settled: 0, refused: 1, errors: 0 }],
    [503, { settled: 0, refused: 1, errors: 0 }],
    [500, { settled: 0, refused: 0, errors: 1 }],
    [404, { settled: 0, refused: 0, errors: 1 }],
  ] as const) {
    it(`that is answered ${status}: ${JSON.stringify(expected)}`, async () => {
      statuses = [status];
      const connection = connect(url);
      expect(await connection.exchange(request, read)).to.include(expected);
      await connection.close();
    });
  }

  it('with nobody is an error with its reason', async () => {
    const connection = connect('http://127.0.0.1:1');
    const { errors, fault } = await connection.exchange(request, read);
    expect(errors).to.equal(1);
    expect(fault).to.include('ECONNREFUSED');
    await connection.close();
  });

  it('in a load counts refused requests beside the settled operations', async () => {
    statuses = [200, 429, 503, 429];
    const connection = connect(url);
    const workers = [{ prepare: async () => undefined, exchange: () => connection.exchange(request, read) }];
    const result = await runLoad([{ workers, batch: 50, operationsPerS: undefined }], 0, 500, window);
    await connection.close();
    expect(result['0.refused']).to.equal(3);
    expect(result['0.settled']).to.equal(50 * ((result['0.requests'] ?? 0) - 3));
    expect(result['0.p99Ms']).to.be.at.least(result['0.p50Ms'] ?? Number.NaN);
  });

  it('in a load at a rate is made at that rate', async () => {
    const connection = connect(url);
    const workers = [{ prepare: async () => undefined, exchange: () => connection.exchange(request, read) }];
    const result = await runLoad([{ workers, batch: 50, operationsPerS: 1_000 }], 0, 500, window);
    await connection.close();
    // 20 requests a second for half a second, where without a rate it would be thousands; a busy machine is late with some.
    expect(result['0.requests']).to.be.within(5, 30);
  });
});
