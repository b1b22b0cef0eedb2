// Query parameters: what a route does not know, or knows once, is 400 on every route there is (I6: a misspelt cursor would be a bootstrap).
import { expect } from 'chai';
import type Joi from 'joi';
import { DASHBOARD_PATH } from '../../src/api/dashboard.js';
import { ROUTE_SCHEMAS, type Route, readRouteTable } from '../chaos/abuse/routeTable.js';
import { type System, startSystem } from '../support/system.js';

describe('query parameters', () => {
  let system: System;
  let routes: Route[];
  before(async () => {
    system = await startSystem(import.meta.url);
    routes = (await readRouteTable(system.url)).filter(({ path }) => !path.startsWith(DASHBOARD_PATH));
  });
  after(() => system.stop());

  const calls = () =>
    routes.flatMap(({ methods, path }) => {
      const withHead = methods.includes('GET') ? [...methods, 'HEAD'] : methods;
      return withHead.map((method) => ({ method, path, address: path.replace(':id', '1') }));
    });

  /** Sends a query to a route; a body that it may need is not read before. */
  async function send(method: string, address: string, query: string) {
    const answer = await system.request(method, `${address}?${query}`);
    return { status: answer.status, code: answer.body?.code, errors: answer.body?.errors };
  }

  it('that no route knows are 400 on every route', async () => {
    expect(calls().length).to.be.greaterThan(30);
    for (const { method, path, address } of calls()) {
      const { status, code, errors } = await send(method, address, 'zzz=1');
      expect(status, `${method} ${path}`).to.equal(400);
      if (method === 'HEAD') continue;
      expect(code, `${method} ${path}`).to.equal('invalid_request');
      expect(errors[0].field).to.equal('zzz');
      const hint = ROUTE_SCHEMAS[`${method} ${path}`]?.query === undefined ? 'this address takes none' : 'there are ';
      expect(errors[0].message).to.match(new RegExp(`^there is no query parameter "zzz" here; ${hint}`));
    }
  });

  it('that are misspelt are 400 with the nearest name, on every route that takes any', async () => {
    for (const [call, { query }] of Object.entries(ROUTE_SCHEMAS)) {
      for (const name of Object.keys((query as Joi.ObjectSchema | undefined)?.describe().keys ?? {})) {
        const [method = '', path = ''] = call.split(' ');
        const wrong = [`${name.slice(0, -1)}`, `${name}s`, name.toUpperCase(), `${name}[a]`, `_${name}`];
        for (const each of wrong) {
          const { status, errors } = await send(method, path.replace(':id', '1'), `${encodeURIComponent(each)}=1`);
          expect(status, `${call} ${each}`).to.equal(400);
          expect(errors[0].field).to.equal(each);
          expect(errors[0].message, `${call} ${each}`).to.match(/did you mean "[A-Za-z_-]+"\?$/);
        }
      }
    }
  });

  const nearest: [address: string, query: string, name: string][] = [
    ['/api/sync/changes', 'curser=abc', 'cursor'],
    ['/api/sync/changes', 'cursor[]=abc', 'cursor'],
    ['/api/sync/changes', 'waits=5', 'wait'],
    ['/api/sync/changes', 'buckets=5', 'bucket'],
    ['/api/tasks', 'complete=true', 'completed'],
    ['/api/tasks', 'updatedSince=2026-01-31', 'updated_since'],
    ['/api/tasks', 'since=2026-01-31', 'updated_since'],
    ['/api/tasks', 'deleted=true', 'include_deleted'],
    ['/api/tasks', 'sort_by=created_at', 'sort'],
    ['/api/sync/queue', 'stat=failed', 'status'],
    ['/api/sync/stream', 'lasteventid=abc', 'lastEventId'],
  ];
  for (const [address, query, name] of nearest) {
    it(`name ${name} where GET ${address}?${query} is asked`, async () => {
      const { status, errors } = await send('GET', address, query);
      expect(status).to.equal(400);
      expect(errors[0].message).to.include(`did you mean "${name}"?`);
    });
  }

  const refused: [query: string, field: string, message: RegExp][] = [
    ['limit=1&limit=1', 'limit', /may be given once/],
    ['limit=1&l%69mit=1', 'limit', /may be given once/],
    ['cursor=%F6', 'cursor', /percent-encoded UTF-8/],
    ['cursor=%', 'cursor', /percent-encoded UTF-8/],
    ['cursor=%C0%AF', 'cursor', /percent-encoded UTF-8/],
    ['cursor=%ED%A0%BD%ED%B8%80', 'cursor', /percent-encoded UTF-8/],
    ['%F6=1', '%F6', /percent-encoded UTF-8/],
    ['cursor', 'cursor', /not allowed to be empty/],
    ['=1', '', /there is no query parameter ""/],
    ['__proto__=1', '__proto__', /there is no query parameter "__proto__"/],
    ['_=1767225600', '_', /there is no query parameter "_"/],
    [`${'x'.repeat(5_000)}=1`, 'x'.repeat(5_000), /there is no query parameter "x{64}"/],
  ];
  for (const [query, field, message] of refused) {
    it(`are 400 as ?${query.slice(0, 40)}`, async () => {
      const { status, errors } = await send('GET', '/api/sync/changes', query);
      expect(status).to.equal(400);
      expect(errors[0].field).to.equal(field);
      expect(errors[0].message).to.match(message);
    });
  }

  it('are named all at once, and not without end', async () => {
    const many = Array.from({ length: 500 }, (_, index) => `unknown${index}=1`).join('&');
    const { errors } = await send('GET', '/api/tasks', many);
    expect(errors).to.have.lengthOf(10);
  });

  it('that are known may be written in any way that means them', async () => {
    for (const query of ['', '&', '&limit=5&', 'l%69mit=5', 'limit=%35']) {
      expect((await send('GET', '/api/tasks', query)).status, query).to.equal(200);
    }
  });
});
