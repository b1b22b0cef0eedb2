// The log says who asked (address, device of a batch) and nothing of what they wrote; health checks are no news.
import { once } from 'node:events';
import { get } from 'node:http';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { startProcesses } from '../support/cluster.js';
import { createItem } from '../support/operations.js';
import type { TestProcess } from '../support/processes.js';
import { eventually } from '../support/system.js';

const linesOf = (process: TestProcess | undefined) =>
  (process?.output() ?? '')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line): Record<string, unknown> => JSON.parse(line));

describe('the log of an api', () => {
  it('names the address of each client and the device of a batch, and leaves out health checks that are well', async () => {
    const cluster = await startProcesses(import.meta.url, { apis: 1, workers: 1, env: { TRUSTED_PROXIES: '1' } });
    const [url = ''] = cluster.urls;
    const [api] = cluster.apis;
    const lines = () => linesOf(api);
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': '10.9.9.9, 203.0.113.7' };
    const push = (...items: object[]) =>
      fetch(`${url}/api/sync/batch`, { method: 'POST', headers, body: JSON.stringify({ items }) });
    const item = (clientId: string) => ({ ...createItem(`of-${clientId}`), client_id: clientId });
    expect((await push(item('phone-7'))).status).to.equal(200);
    expect((await push(item('phone-8'), item('phone-9'))).status).to.equal(200);
    for (const path of ['/health', '/health/live', '/health/ready', '/metrics']) {
      expect((await fetch(`${url}${path}`)).status).to.equal(200);
    }
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/sync/ws`, { headers });
    await once(socket, 'open');
    socket.close();
    await fetch(`${url}/api/tasks/of-phone-7`);
    await eventually(() => lines().some(({ path }) => path === '/api/tasks/of-phone-7'));
    await eventually(() => lines().some(({ message }) => message === 'socket'));
    const requests = lines().filter(({ message }) => message === 'request');
    expect(requests.map(({ path, address, clientId }) => [path, address, clientId])).to.deep.equal([
      ['/api/sync/batch', '203.0.113.7', 'phone-7'],
      ['/api/sync/batch', '203.0.113.7', undefined],
      ['/api/tasks/of-phone-7', '127.0.0.1', undefined],
    ]);
    expect(lines().find(({ message }) => message === 'socket')).to.include({ address: '203.0.113.7' });
    await cluster.stop();
  });

  for (const [what, headers, message] of [
    ['a name that is not served', { host: 'elsewhere.example' }, 'a host name was refused'],
    ['a page of another origin', { 'sec-fetch-site': 'cross-site' }, 'a browser was refused'],
  ] as const) {
    it(`says who asked for what, and in which request, where it refuses ${what}`, async () => {
      const cluster = await startProcesses(import.meta.url, { apis: 1, workers: 0 });
      const [url = ''] = cluster.urls;
      const method = 'POST';
      const request = get(`${url}/api/tasks`, { method, headers: { ...headers, 'x-request-id': 'refused-1' } });
      const [response] = await once(request, 'response');
      expect(response.statusCode).to.equal(403);
      response.resume();
      const logged = () => linesOf(cluster.apis[0]).find((line) => line.level === 'warn' && line.message === message);
      await eventually(() => logged() !== undefined);
      expect(logged()).to.include({ address: '127.0.0.1', path: '/api/tasks', requestId: 'refused-1' });
      await cluster.stop();
    });
  }
});
