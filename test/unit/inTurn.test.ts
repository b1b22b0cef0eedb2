// Requests that come on one connection without waiting for answers: reads are begun one after the other (I8).
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { serveInTurn } from '../../src/api/inTurn.js';

describe('requests that are sent without waiting for answers', () => {
  const begun: { url: string | undefined; response: ServerResponse }[] = [];
  const server = createServer(serveInTurn(({ url }, response) => void begun.push({ url, response })));
  let socket: Socket;
  let text = '';

  const urls = () => begun.map(({ url }) => url);
  const send = (method: string, path: string) =>
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${method === 'POST' ? 'Content-Length: 2\r\n\r\n{}' : '\r\n'}`;

  /** When the server has read everything that was sent before. */
  async function roundTrip() {
    const other = connect((server.address() as AddressInfo).port, '127.0.0.1');
    other.end(send('GET', '/after'));
    await once(server, 'request');
    other.destroy();
    begun.pop();
  }

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after((done) => {
    server.closeAllConnections();
    server.close(done);
  });
  beforeEach(async () => {
    begun.length = 0;
    text = '';
    socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += chunk;
    });
    await once(socket, 'connect');
  });
  afterEach(() => void socket.destroy());

  it('begin when the answer before them has been sent, in their order', async () => {
    socket.write(['/a', '/b', '/c'].map((path) => send('GET', path)).join(''));
    for (const path of ['/a', '/b', '/c']) {
      while (!urls().includes(path)) await once(server, 'request');
      await roundTrip();
      expect(urls().at(-1)).to.equal(path);
      const { response } = begun.at(-1) ?? expect.fail();
      response.end(path);
      await once(response, 'close');
    }
    while (!text.includes('/c')) await once(socket, 'data');
    expect(text.match(/\/[abc]/g)).to.deep.equal(['/a', '/b', '/c']);
  });

  it('are not begun when the connection has gone meanwhile', async () => {
    socket.write(send('GET', '/stream').repeat(20));
    await once(server, 'request');
    const [first] = begun;
    socket.destroy();
    await once(first?.response ?? expect.fail(), 'close');
    await roundTrip();
    expect(urls()).to.deep.equal(['/stream']);
  });

  it('begin at once where they write: their bodies come behind each other', async () => {
    socket.write(send('GET', '/slow') + send('POST', '/batch'));
    while (begun.length < 2) await once(server, 'request');
    expect(urls()).to.deep.equal(['/slow', '/batch']);
  });
});
