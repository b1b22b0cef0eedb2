// /metrics of both kinds of processes: what they count, what they never show, who may see it, and that they answer when nothing else does.
import { once } from 'node:events';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { expectProblem } from '../support/contract.js';
import { refuseTitles } from '../support/faults.js';
import { metricValue, scrape } from '../support/metrics.js';
import { createItem, newId, updateItem } from '../support/operations.js';
import { freePort } from '../support/ports.js';
import { eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const TOKEN = 'a-token-of-more-than-16-characters';

/** A system whose worker has its port as well. */
async function startBoth(env: Record<string, string> = {}) {
  const port = await freePort();
  const options = { env: { WORKER_HEALTH_PORT: String(port), ...env } };
  const system = await withQueue(startSystem(import.meta.url, options));
  return { system, workerUrl: `http://127.0.0.1:${port}` };
}

describe('the metrics', () => {
  let system: System;
  let workerUrl: string;

  before(async () => {
    ({ system, workerUrl } = await startBoth());
  });
  after(() => system.stop());

  it('count what was accepted, known, refused, applied and given up', async () => {
    const allow = await refuseTitles(system.database, 'Refused', '22000');
    const id = newId('task');
    const first = createItem(id, { updated_at: '2026-01-31T10:30:00Z' });
    const older = updateItem(id, { title: 'older', updated_at: '2026-01-31T10:00:00Z' });
    const bad = createItem(newId('bad'), { title: 'Refused' });
    const missing = updateItem(newId('never'), { title: 'x' });
    const { body } = await system.push([first, first, older, bad, missing, { client_id: 'phone' }]);
    expect(body.status).to.equal('completed');
    await system.push([first]);
    expect((await system.request('POST', '/api/tasks', { title: 'direct' })).status).to.equal(201);
    await allow();

    const api = await scrape(system.url);
    const counted = (name: string, labels = {}) => metricValue(api, `task_sync_${name}`, labels);
    expect(counted('batches_accepted_total')).to.equal(2);
    expect(counted('operations_accepted_total')).to.equal(4);
    expect(counted('operations_duplicate_total')).to.equal(2);
    expect(counted('operations_rejected_total')).to.equal(1);
    expect(counted('batches_answered_total', { status: 'completed' })).to.equal(2);
    expect(counted('batch_duration_seconds_count')).to.equal(2);
    expect(counted('direct_writes_total', { operation: 'create' })).to.equal(1);
    expect(counted('up', { dependency: 'database' })).to.equal(1);
    expect(counted('up', { dependency: 'queue' })).to.equal(1);
    expect(counted('database_pool_max')).to.equal(8);

    const worker = await scrape(workerUrl);
    const applied = (outcome: string) => metricValue(worker, 'task_sync_operations_applied_total', { outcome });
    expect([applied('success'), applied('conflict'), applied('exists'), applied('not_found')]).to.deep.equal([
      1, 1, 0, 1,
    ]);
    expect(metricValue(worker, 'task_sync_operations_failed_total')).to.equal(1);
    expect(metricValue(worker, 'task_sync_failed_operations')).to.equal(1);
    expect(metricValue(worker, 'task_sync_operation_wait_seconds_count')).to.equal(3);
    expect(metricValue(worker, 'task_sync_operation_wait_seconds_sum')).to.be.within(0, 60);
    expect(metricValue(worker, 'task_sync_apply_duration_seconds_count')).to.be.at.least(1);
    await eventually(async () => {
      const jobs = await scrape(workerUrl);
      return metricValue(jobs, 'task_sync_jobs_total', { result: 'failed' }) === 1;
    });
  });

  it('show what waits, and since when', async () => {
    const lonely = await withQueue(startSystem(import.meta.url, { workers: 0 }));
    try {
      await lonely.push([createItem(newId('a')), createItem(newId('b'))], {}, { prefer: 'respond-async' });
      await eventually(async () => {
        const samples = await scrape(lonely.url);
        const age = metricValue(samples, 'task_sync_oldest_pending_age_seconds') ?? 0;
        return metricValue(samples, 'task_sync_pending_operations') === 2 && age > 0 && age < 60;
      });
      const samples = await scrape(lonely.url);
      expect(metricValue(samples, 'task_sync_queue_jobs', { state: 'waiting' })).to.equal(1);
      expect(metricValue(samples, 'task_sync_batches_answered_total', { status: 'processing' })).to.equal(1);
    } finally {
      await lonely.stop();
    }
  });

  it('count open streams by kind', async () => {
    const socket = new WebSocket(`${system.url.replace('http', 'ws')}/api/sync/ws`);
    await once(socket, 'message');
    const open = async () => metricValue(await scrape(system.url), 'task_sync_streams_open', { kind: 'websocket' });
    expect(await open()).to.equal(1);
    socket.close();
    await eventually(async () => (await open()) === 0);
  });

  it('name routes by their template, and never what users wrote', async () => {
    const secret = newId('secret');
    await system.push([createItem(secret, { title: secret })]);
    for (const path of [
      `/api/tasks/${secret}`,
      `/${secret}`,
      `/api/tasks/${secret}/history`,
      `/admin/queues/${secret}`,
    ]) {
      await system.request('GET', path);
    }
    await system.request('POST', '/api/sync/batch', `{"${secret}`);
    const samples = await scrape(system.url);
    expect(JSON.stringify(samples)).to.not.include(secret);
    const routes = new Set(samples.flatMap(({ labels }) => labels.route ?? []));
    expect(routes).to.include('/api/tasks/:id').and.to.include('/api/tasks/:id/history').and.to.include('unmatched');
    const served = { route: '/api/tasks/:id', method: 'GET', status: '200' };
    expect(metricValue(samples, 'task_sync_http_request_duration_seconds_count', served)).to.equal(1);
    for (const each of samples) expect(Object.keys(each.labels)).to.not.include('workspace');
  });

  it('are asked for once a second, however often they are scraped', async () => {
    const before = await readScans(system);
    await Promise.all(Array.from({ length: 20 }, () => scrape(system.url)));
    expect((await readScans(system)) - before).to.be.at.most(6);
  });
});

/** How often the index of pending operations was read; the workers' reconciler reads it as well, about once a second. */
async function readScans({ database }: System): Promise<number> {
  const [row] = await database.select<{ scans: number }>(
    "SELECT idx_scan AS scans FROM pg_stat_user_indexes WHERE indexrelname = 'sync_queue_failed'",
    [],
  );
  return row?.scans ?? 0;
}

describe('the metrics in production', () => {
  it('do not exist without ADMIN_TOKEN, and say so', async () => {
    const { system, workerUrl } = await startBoth({ NODE_ENV: 'production', HOST: '127.0.0.1' });
    try {
      for (const url of [system.url, workerUrl]) {
        const answer = await fetchProblem(`${url}/metrics`);
        expectProblem(answer, 404, 'not_found');
        expect(answer.body.detail).to.include('ADMIN_TOKEN');
      }
    } finally {
      await system.stop();
    }
  });

  it('are for those who know it, as bearer token or as password', async () => {
    const { system, workerUrl } = await startBoth({ NODE_ENV: 'production', HOST: '127.0.0.1', ADMIN_TOKEN: TOKEN });
    try {
      for (const url of [system.url, workerUrl]) {
        for (const authorization of [undefined, '', 'Bearer ', `Bearer ${TOKEN}x`, 'Basic %%%']) {
          const answer = await fetchProblem(`${url}/metrics`, authorization);
          expectProblem(answer, 401, 'unauthorized');
          expect(answer.headers.get('www-authenticate')).to.match(/^Basic /);
        }
        const basic = `Basic ${Buffer.from(`prometheus:${TOKEN}`).toString('base64')}`;
        for (const authorization of [`Bearer ${TOKEN}`, basic]) {
          expect(
            metricValue(await scrape(url, { authorization }), 'task_sync_up', { dependency: 'database' }),
          ).to.equal(1);
        }
      }
    } finally {
      await system.stop();
    }
  });
});

async function fetchProblem(url: string, authorization?: string) {
  const headers = { connection: 'close', ...(authorization === undefined ? {} : { authorization }) };
  const response = await fetch(url, { headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: JSON.parse(text) };
}
