// Bull Board at /admin/queues (DESIGN 5): the real queue with readable batches; in production only behind ADMIN_TOKEN.
import { get } from 'node:http';
import { expect } from 'chai';
import { expectProblem } from '../support/contract.js';
import { testBackend } from '../support/environment.js';
import { refuseTitles } from '../support/faults.js';
import { createItem, newId } from '../support/operations.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const ADDRESSES = [
  '/admin/queues',
  '/admin/queues/',
  '/admin/queues/api/queues',
  '/admin/queues/queue/sync',
  '/admin/queues/queue/maintenance',
];
const TOKEN = 'a-token-of-more-than-16-characters:with-colon';
const PRODUCTION = { NODE_ENV: 'production', HOST: '127.0.0.1' };

interface BoardJob {
  data: Record<string, unknown>;
  attempts: number;
  isFailed: boolean;
  failedReason?: string;
  returnValue?: unknown;
}

async function readJobs(system: System, status: string, queue: 'sync' | 'maintenance' = 'sync'): Promise<BoardJob[]> {
  const path = `/admin/queues/api/queues?activeQueue=${queue}&status=${status}&page=1&jobsPerPage=20`;
  const answer = await system.request('GET', path);
  expect(answer.status).to.equal(200);
  const shown: { name: string; jobs: BoardJob[] }[] = answer.body.queues;
  expect(shown.map(({ name }) => name)).to.deep.equal(['sync', 'maintenance']);
  return shown.find(({ name }) => name === queue)?.jobs ?? [];
}

describe('the dashboard', () => {
  let system: System;

  before(async () => {
    system = await withQueue(startSystem(import.meta.url, { workers: 0 }));
  });
  after(() => system.stop());

  it('is a page, open outside production', async () => {
    const answer = await system.request('GET', '/admin/queues');
    expect(answer.status).to.equal(200);
    expect(answer.headers.get('content-type')).to.include('text/html');
    expect(answer.body).to.include('Task Sync');
  });

  it("stands in nobody's frame, and does not say what made it, whatever the answer", async () => {
    const paths = [...ADDRESSES, '/admin/queues/static/nothing.js', '/admin/queues/api/nothing', '/admin/queues/%'];
    for (const path of paths) {
      const { headers } = await system.request('GET', path);
      expect(headers.get('content-security-policy'), path).to.match(/frame-ancestors 'none'/);
      expect(headers.get('x-frame-options'), path).to.equal('DENY');
      expect(headers.get('x-powered-by'), path).to.equal(null);
    }
    for (const path of ['/', '/health', '/api/tasks', '/nothing', '/api/%']) {
      expect((await system.request('GET', path)).headers.get('x-powered-by'), path).to.equal(null);
    }
  });

  it('shows a waiting batch: which, whose, how many', async () => {
    const { body } = await system.push(
      [createItem(newId('a')), createItem(newId('b'))],
      {},
      { prefer: 'respond-async' },
    );
    const [job, ...others] = await readJobs(system, 'waiting');
    expect(others).to.deep.equal([]);
    expect(job?.data).to.include({ batchId: body.batch_id, workspaceId: 'default', count: 2, part: 1, parts: 1 });
    expect(job?.attempts).to.equal(0);
  });

  // On PostgreSQL up to three jobs are added one by one, more with one statement.
  for (const parts of [3, 4]) {
    it(`shows each of the ${parts} parts of a large batch, once`, async () => {
      const items = Array.from({ length: 50 * parts }, () => createItem(newId('part')));
      const { body } = await system.push(items, {}, { prefer: 'respond-async' });
      const jobs = (await readJobs(system, 'waiting')).filter(({ data }) => data.batchId === body.batch_id);
      const shown = jobs.map(({ data }) => Number(data.part)).toSorted((a, b) => a - b);
      expect(shown).to.deep.equal(Array.from({ length: parts }, (_, index) => index + 1));
      expect(jobs.every(({ data }) => data.count === 50 && data.parts === parts)).to.equal(true);
    });
  }

  it('shows why a batch failed, and keeps what succeeded for as long as the backend can', async () => {
    const allow = await refuseTitles(system.database, 'Shown', '22000');
    const worker = await system.startWorker();
    const good = await system.push([createItem(newId('good'))]);
    const bad = await system.push([createItem(newId('good')), createItem(newId('bad'), { title: 'Shown' })]);
    expect(bad.body.summary).to.include({ success: 1, error: 1 });
    const failed = await eventually(async () => (await readJobs(system, 'failed'))[0]);
    expect(failed.data).to.include({ batchId: bad.body.batch_id, workspaceId: 'default', count: 2 });
    expect(failed).to.include({ isFailed: true, attempts: 1 });
    expect(failed.failedReason).to.include('1 of 2 operations failed').and.to.not.include('Shown');
    expect((await system.request('GET', '/api/sync/status')).body.queue.failed).to.equal(1);
    if (testBackend === 'redis') {
      const completed = await eventually(async () => {
        const jobs = await readJobs(system, 'completed');
        return jobs.find((job) => job.data.batchId === good.body.batch_id);
      });
      expect(completed.isFailed).to.equal(false);
    }
    await worker.run('the test wants it');
    await allow();
  });

  it('shows the scheduled work: its next run, and on Redis what the last ones changed', async () => {
    const worker = await system.startWorker();
    const next = await eventually(async () => (await readJobs(system, 'delayed', 'maintenance'))[0]);
    expect(next.isFailed).to.equal(false);
    if (testBackend === 'redis') {
      const run = await eventually(async () => (await readJobs(system, 'completed', 'maintenance'))[0]);
      expect(run.returnValue).to.have.all.keys('stubbed', 'stubsDeleted', 'batchesPruned', 'operationsPruned');
    }
    await worker.run('the test wants it');
  });
});

describe('the dashboard in production', () => {
  it('does not exist without ADMIN_TOKEN', async () => {
    const system = await withQueue(startSystem(import.meta.url, { workers: 0, env: PRODUCTION }));
    try {
      for (const path of ADDRESSES) {
        for (const headers of [undefined, { authorization: 'Bearer undefined' }]) {
          expectProblem(await system.request('GET', path, undefined, headers), 404, 'not_found');
        }
      }
      expect((await system.request('GET', '/health')).body.environment).to.equal('production');
    } finally {
      await system.stop();
    }
  });

  for (const environment of ['production', 'development']) {
    describe(`with ADMIN_TOKEN, in ${environment}`, () => {
      let system: System;
      const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });

      before(async () => {
        const env = { ...PRODUCTION, NODE_ENV: environment, ADMIN_TOKEN: TOKEN };
        system = await withQueue(startSystem(import.meta.url, { workers: 0, env }));
      });
      after(() => system.stop());

      for (const [name, headers] of [
        ['nothing', {}],
        ['an empty header', { authorization: '' }],
        ['a wrong bearer token', { authorization: `Bearer ${TOKEN}x` }],
        ['the beginning of the token', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
        ['an empty bearer token', { authorization: 'Bearer ' }],
        ['a wrong password', basic('admin:wrong')],
        ['an empty password', basic('admin:')],
        ['the token as the user', basic(`${TOKEN}:x`)],
        ['no base64', { authorization: 'Basic %%%' }],
        ['the token in the query', {}],
      ] as const) {
        it(`answers 401 to ${name}`, async () => {
          for (const path of ADDRESSES) {
            const address = name === 'the token in the query' ? `${path}?token=${TOKEN}&access_token=${TOKEN}` : path;
            const answer = await system.request('GET', address, undefined, headers);
            expectProblem(answer, 401, 'unauthorized');
            expect(answer.headers.get('www-authenticate')).to.match(/^Basic /);
            expect(JSON.stringify(answer.body)).to.not.include(TOKEN);
          }
        });
      }

      for (const [name, headers] of [
        ['the bearer token', { authorization: `Bearer ${TOKEN}` }],
        ['the bearer token, the scheme in lower case', { authorization: `bearer ${TOKEN}` }],
        ['the token as password of any user', basic(`admin:${TOKEN}`)],
        ['the token as password of no user', basic(`:${TOKEN}`)],
      ] as const) {
        it(`answers 200 to ${name}`, async () => {
          for (const path of ADDRESSES) {
            expect((await system.request('GET', path, undefined, headers)).status, path).to.equal(200);
          }
        });
      }

      it('needs it for every action, not only for looking', async () => {
        for (const path of ['/admin/queues/api/queues/sync/pause', '/admin/queues/api/queues/sync/clean/failed']) {
          expectProblem(await system.request('PUT', path), 401, 'unauthorized');
        }
      });

      it('looks at no further token of an address that sent too many wrong ones, and at those of all others', async () => {
        const { port } = new URL(system.url);
        const ask = (localAddress: string, token: string) =>
          new Promise<{ status?: number; retryAfter?: string }>((resolve, reject) => {
            const headers = { authorization: `Bearer ${token}` };
            get({ host: '127.0.0.1', port, path: '/admin/queues', localAddress, headers, agent: false }, (answer) => {
              answer.resume();
              resolve({ status: answer.statusCode, retryAfter: answer.headers['retry-after'] });
            }).on('error', reject);
          });
        const tried: (number | undefined)[] = [];
        for (let n = 0; n < 60; n += 1) tried.push((await ask('127.0.0.9', `wrong-${n}`)).status);
        expect(tried.slice(0, 20)).to.deep.equal(Array.from({ length: 20 }, () => 401));
        expect(tried).to.include(429);
        await eventually(async () => (await ask('127.0.0.9', 'wrong')).status === 429);
        expect((await ask('127.0.0.8', TOKEN)).status).to.equal(200);
        await eventually(async () => (await ask('127.0.0.9', TOKEN)).status === 200);
      });

      it('asks nobody for it elsewhere', async () => {
        expect((await system.request('GET', '/api/tasks')).status).to.equal(200);
      });
    });
  }
});
