// Requests and responses are born with the prototypes that Express wants; that is all that differs from app.listen().
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import express from 'express';
import { createExpressServer } from '../../src/api/expressServer.js';

describe('the server of an Express application', () => {
  const seen: { bornAs: unknown[]; arrivedAs: unknown[] } = { bornAs: [], arrivedAs: [] };
  const app = express();
  app.use(
    '/inner',
    express().get('/hello', (request, response) => void response.send(`hello ${request.query.name}`)),
  );
  app.use('/inner', (request, response) => {
    seen.arrivedAs = [Object.getPrototypeOf(request), Object.getPrototypeOf(response)];
    response.json(request.originalUrl);
  });
  app.use(express.json());
  app.post('/echo', (request, response) => {
    seen.arrivedAs = [Object.getPrototypeOf(request), Object.getPrototypeOf(response)];
    response
      .status(201)
      .set('X-Path', request.path)
      .json({ body: request.body, isJson: request.is('json') });
  });
  const server = createExpressServer({}, app);
  server.prependListener('request', (request, response) => {
    seen.bornAs = [Object.getPrototypeOf(request), Object.getPrototypeOf(response)];
  });
  let url = '';

  before((done) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      url = `http://127.0.0.1:${port}`;
      done();
    });
  });
  after((done) => {
    server.closeAllConnections();
    server.close(done);
  });

  it('gives Express nothing to change about a request and its response', async () => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${url}/echo?x=1`, { method: 'POST', headers, body: '{"a":1}' });
    expect(answer.status).to.equal(201);
    expect(answer.headers.get('x-path')).to.equal('/echo');
    expect(await answer.json()).to.deep.equal({ body: { a: 1 }, isJson: 'json' });
    expect(seen.arrivedAs).to.have.length(2);
    expect(seen.arrivedAs[0]).to.equal(seen.bornAs[0]);
    expect(seen.arrivedAs[1]).to.equal(seen.bornAs[1]);
  });

  it('serves applications that are mounted in it, and goes on behind them as before', async () => {
    const answer = await fetch(`${url}/inner/hello?name=you`);
    expect(await answer.text()).to.equal('hello you');
    const behind = await fetch(`${url}/inner/elsewhere`);
    expect(await behind.json()).to.equal('/inner/elsewhere');
    expect(seen.arrivedAs).to.deep.equal(seen.bornAs);
  });
});
