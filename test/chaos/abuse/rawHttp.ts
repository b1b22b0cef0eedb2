// What no HTTP client can be made to send: broken request lines, headers that contradict each other, smuggling, bytes that are not HTTP.
import { connect } from 'node:net';

const JSON_BODY = '{"items":[{"client_id":"raw","operation":"delete","data":{"id":"raw"}}]}';

const post = (headers: string, body: string) =>
  `POST /api/sync/batch HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n${body}`;

/** Each as it goes on the wire; the connection is then ended from our side. */
export const RAW_REQUESTS: readonly string[] = [
  '\r\n\r\n\r\n',
  '\x00\x01\x02\x03\xff\xfe',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'GET\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  'GET / HTTP/1.1\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  'GET / HTTP/1.1\nHost: localhost\n\n',
  'GET http://elsewhere.example/api/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET //[::1/api/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET api/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET /api/tasks\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET /api/ta sks HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET /api/tasks?\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'CONNECT a:443 HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: localhost\r\n${'X: y\r\n'.repeat(3_000)}\r\n`,
  `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
  'GET / HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: localhost\r\nX\x00Y: z\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: localhost\r\n: empty\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: localhost\r\nExpect: 200-maybe\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n',
  'GET /api/sync/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'GET /api/sync/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 99\r\nSec-WebSocket-Key: x\r\n\r\n',
  'GET //[ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  post('Content-Length: -1\r\n', JSON_BODY),
  post('Content-Length: 99999999999999999999\r\n', JSON_BODY),
  post('Content-Length: 1e3\r\n', JSON_BODY),
  post('Content-Length: 5\r\nContent-Length: 6\r\n', JSON_BODY),
  post(`Content-Length: ${JSON_BODY.length + 100}\r\nContent-Type: application/json\r\n`, JSON_BODY),
  post(`Content-Length: ${JSON_BODY.length}\r\nTransfer-Encoding: chunked\r\n`, JSON_BODY),
  post(
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
    `${JSON_BODY.length.toString(16)}\r\n${JSON_BODY}\r\n0\r\n\r\n`,
  ),
  post('Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n', 'zz\r\nnothing\r\n0\r\n\r\n'),
  post('Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n', 'ffffffffffffffff\r\na'),
  post('Transfer-Encoding: gzip, chunked\r\nContent-Type: application/json\r\n', '1\r\n{\r\n0\r\n\r\n'),
  post('Transfer-Encoding: nonsense\r\n', JSON_BODY),
  post(
    `Content-Type: application/json\r\nContent-Length: ${JSON_BODY.length}\r\n`,
    `${JSON_BODY}GET / HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  ),
  `${'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(200)}`,
];

/** Sends bytes (latin1) and returns all that comes back until either side closes. */
export function sendRaw(url: string, text: string, patienceMs: number): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(Number(port), hostname);
    const timer = setTimeout(() => socket.destroy(), patienceMs);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(received);
    });
    socket.write(text, 'latin1');
    // Half a second for what may still come, then our half is closed: a server that waits for more gets none.
    setTimeout(() => socket.end(), Math.min(500, patienceMs));
  });
}

/** The status codes of what came back, in order. */
export const statusesOf = (received: string): number[] =>
  [...received.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map(([, status]) => Number(status));
