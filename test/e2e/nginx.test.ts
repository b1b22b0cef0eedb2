// Behind nginx as deploy/nginx/task-sync.conf sets it up: TLS, compression, live streams, a path that is taken away, and restarts of one api
// after the other, in which no request may be lost (I1: what is not answered has to be sent again).
import { once } from 'node:events';
import { request as httpsRequest } from 'node:https';
import { expect } from 'chai';
import { Agent, request } from 'undici';
import { WebSocket } from 'ws';
import { type RunningCluster, startProcesses } from '../support/cluster.js';
import { runnerEnvironment } from '../support/environment.js';
import { findProgram, type Nginx, startNginx } from '../support/nginx.js';
import { createItem, newId } from '../support/operations.js';
import { startProcess } from '../support/processes.js';
import { eventually } from '../support/system.js';

const program = findProgram('nginx');
const isCi = ['true', '1'].includes(runnerEnvironment.CI ?? '');
if (program === undefined && !isCi) {
  process.stdout.write(
    '!!!!! Nothing was tried behind nginx: it is not installed (`apt-get install nginx-light`). !!!!!\n',
  );
}

(program === undefined && !isCi ? describe.skip : describe)('behind nginx', () => {
  let cluster: RunningCluster;
  let nginx: Nginx;
  const tls = { rejectUnauthorized: false };
  const dispatcher = new Agent({ connect: tls });

  before(async () => {
    if (program === undefined) throw new Error('nginx is not installed: apt-get install nginx-light');
    // As in production: what is under way when an api is told to stop is served for a while.
    cluster = await startProcesses(import.meta.url, { apis: 2, workers: 1, env: { SHUTDOWN_DRAIN_MS: '500' } });
    nginx = await startNginx(program, cluster.urls);
  });
  after(async () => {
    await dispatcher.close();
    await nginx?.stop();
    await Promise.all(cluster?.apis.map((api) => api.stop()) ?? []);
    await cluster?.stop();
  });

  const send = async (url: string, method = 'GET', body?: unknown, headers: Record<string, string> = {}) => {
    const sent = { 'content-type': 'application/json', ...headers };
    const options = {
      method,
      dispatcher,
      headers: sent,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    const answer = await request(url, options);
    const text = await answer.body.text();
    return { status: answer.statusCode, headers: answer.headers, text };
  };

  it('takes the sample without a complaint', () => {
    expect(nginx.checked)
      .to.match(/test is successful/)
      .and.not.match(/emerg|error/);
  });

  it('serves the API over TLS, to a page of its own origin and to no other', async () => {
    const origin = new URL(nginx.url).origin;
    const own = await send(`${nginx.url}/api/tasks`, 'POST', { title: 'Over TLS' }, { origin });
    expect(own.status).to.equal(201);
    const foreign = await send(`${nginx.url}/api/tasks`, 'POST', { title: 'x' }, { origin: 'https://evil.example' });
    expect(foreign.status).to.equal(403);
  });

  it('weakens the tag of an answer that it compresses, and the task can be changed with it', async () => {
    const created = await send(`${nginx.url}/api/tasks`, 'POST', { title: 'T', description: 'long '.repeat(1_000) });
    const address = new URL(String(created.headers.location), `${nginx.url}/api/tasks`).href;
    const read = await send(address, 'GET', undefined, { 'accept-encoding': 'gzip' });
    expect(read.headers['content-encoding']).to.equal('gzip');
    const tag = String(read.headers.etag);
    expect(tag).to.match(/^W\/"\d+"$/);
    expect((await send(address, 'GET', undefined, { 'if-none-match': tag })).status).to.equal(304);
    expect((await send(address, 'PATCH', { title: 'U' }, { 'if-match': tag })).status).to.equal(200);
    expect((await send(address, 'PATCH', { title: 'V' }, { 'if-match': tag })).status).to.equal(412);
  });

  it('refuses the same size of body as the api', async () => {
    const push = (chars: number) =>
      send(`${nginx.url}/api/sync/batch`, 'POST', {
        items: [createItem(newId('large')), { unknown: 'x'.repeat(chars) }],
      });
    expect((await push(1_040_000)).status).to.equal(200);
    expect((await push(1_048_576)).status).to.equal(413);
  });

  it('passes each event of a stream on at once, while the stream stays open', async () => {
    const opened = httpsRequest(`${nginx.url}/api/sync/stream`, { ...tls, headers: { accept: 'text/event-stream' } });
    opened.end();
    const [response] = await once(opened, 'response');
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    await eventually(() => text.includes('event:ready'));
    const id = newId('live');
    await send(`${nginx.url}/api/sync/batch`, 'POST', { items: [createItem(id)] });
    await eventually(() => text.includes(id), 10_000);
    expect(response.complete).to.equal(false);
    opened.destroy();
  });

  it('opens WebSockets, under the path of the sample and under one that is taken away', async () => {
    for (const base of [nginx.url, nginx.prefixedUrl]) {
      const socket = new WebSocket(`${base.replace('https', 'wss')}/api/sync/ws`, tls);
      const messages: { type: string; ref?: string }[] = [];
      socket.on('message', (data) => messages.push(JSON.parse(data.toString())));
      await once(socket, 'open');
      socket.send(JSON.stringify({ type: 'push', ref: 'r', items: [createItem(newId('socket'))] }));
      await eventually(() => messages.some(({ type, ref }) => type === 'result' && ref === 'r'));
      socket.close();
      await once(socket, 'close');
      const plain = await send(`${base}/api/sync/ws`);
      expect(plain.status).to.equal(426);
    }
  });

  it('gives references and a board that are right below a path that is taken away', async () => {
    const base = nginx.prefixedUrl;
    const accepted = await eventually(async () => {
      // A fast worker is done before the answer is made.
      const items = Array.from({ length: 200 }, () => createItem(newId('below')));
      const answer = await send(`${base}/api/sync/batch`, 'POST', { items }, { prefer: 'respond-async' });
      return answer.status === 202 && answer;
    });
    const batch = await send(new URL(String(accepted.headers.location), `${base}/api/sync/batch`).href);
    expect(JSON.parse(batch.text).batch_id).to.equal(JSON.parse(accepted.text).batch_id);
    const created = await send(`${base}/api/tasks`, 'POST', { title: 'Below a path' });
    const task = new URL(String(created.headers.location), `${base}/api/tasks`).href;
    expect(JSON.parse((await send(task)).text).title).to.equal('Below a path');
    const first = await send(`${base}/api/tasks?limit=1`);
    const [, next = ''] = /^<(.*)>; rel="next"$/.exec(String(first.headers.link)) ?? [];
    const second = await send(new URL(next, `${base}/api/tasks?limit=1`).href);
    expect(JSON.parse(second.text)).to.have.length(1);
    expect(JSON.parse(second.text)).to.not.deep.equal(JSON.parse(first.text));
  });

  it('loses no request while one api after the other is restarted', async function () {
    // Processes that start while others are tested.
    this.timeout(180_000);
    const stopping = new AbortController();
    const statuses: Record<string, number> = {};
    const count = (status: number | string) => {
      statuses[status] = (statuses[status] ?? 0) + 1;
    };
    const load = async (once: () => Promise<{ status: number }>) => {
      while (!stopping.signal.aborted) {
        await once().then(
          ({ status }) => count(status),
          (error: unknown) => count(String(error)),
        );
      }
    };
    const push = () => send(`${nginx.url}/api/sync/batch`, 'POST', { items: [createItem(newId('rolling'))] });
    const pull = () => send(`${nginx.url}/api/sync/changes?limit=1`);
    const loads = [push, push, pull].map(load);
    try {
      // The second within ten seconds of the first, as deployments do it.
      for (const [index, url] of cluster.urls.entries()) {
        await cluster.apis[index]?.stop();
        const env = { ...cluster.env, PORT: new URL(url).port };
        const api = startProcess({ name: `api ${index + 1}`, entry: 'src/api/main.js', env });
        cluster.apis[index] = api;
        await api.waitForHttp(`${url}/health/ready`, 200, 80_000);
      }
    } finally {
      stopping.abort();
      await Promise.all(loads);
    }
    expect(statuses).to.have.all.keys(...Object.keys(statuses).filter((status) => ['200', '202'].includes(status)));
    expect(statuses[200]).to.be.above(10);
  });
});
