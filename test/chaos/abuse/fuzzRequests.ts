// Requests that nobody should send: real routes and real schemas, spoilt in every way that HTTP leaves open.
import { deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { DASHBOARD_PATH } from '../../../src/api/dashboard.js';
import { itemSchemas } from '../../../src/sync/operation.js';
import { hostileBody, hostileValue, writeJson } from './hostileJson.js';
import { ROUTE_SCHEMAS, type Route } from './routeTable.js';
import { arbitraryOf, type Pools } from './schemaArbitrary.js';

export interface FuzzRequest {
  method: string;
  /** Path and query, as they go on the wire. */
  path: string;
  headers: Record<string, string>;
  body?: Buffer;
}

const BATCH_PATH = '/api/sync/batch';
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];
const ODD_METHODS = ['TRACE', 'PROPFIND', 'LINK', 'PURGE', 'M-SEARCH', 'QUERY', 'SUBSCRIBE', 'LOCK'];
const SEGMENTS = [
  '%00',
  '%ff%fe',
  '%ED%A0%80',
  '%',
  '%zz',
  '%2e%2e%2f',
  '..',
  '.',
  '',
  '%20',
  '__proto__',
  'constructor',
  '0',
  '-1',
  '1e3',
  '9007199254740993',
  '99999999999999999999',
  "'%20OR%201=1--",
  'x'.repeat(200),
  '%F0%9F%98%80'.repeat(33),
];
/** 64 MiB of spaces, which is no JSON value at all, in 64 KB. */
const BOMB = gzipSync(Buffer.alloc(64 * 1_048_576, ' '));
const BOMB_IN_JSON = gzipSync(
  Buffer.concat([Buffer.from('{"title":"'), Buffer.alloc(32 * 1_048_576, 'a'), Buffer.from('"}')]),
);

const HEADERS: Record<string, readonly string[]> = {
  'if-match': ['*', '"1"', 'W/"1"', '""', '"', ',,,', `"${'1'.repeat(3_000)}"`, '"\xff"'],
  'if-none-match': ['*', '"1"', 'W/"2"', 'nonsense', `${'"1",'.repeat(1_000)}"2"`],
  prefer: [
    'respond-async',
    'wait=0',
    'wait=-1',
    'wait=1e9',
    'wait="1"',
    'wait=999999',
    'respond-async, wait=1',
    ';;;=,',
  ],
  'last-event-id': ['', 'x', '\xff\xfe', 'e30', 'W10', 'bnVsbA', 'x'.repeat(500)],
  accept: ['*/*', 'text/html', 'application/x-ndjson', 'application/json;q=0', ',;=', 'x'.repeat(2_000)],
  'x-request-id': ['a', 'x'.repeat(65), '{"a":1}', '\xff', '../..', '%0d%0aX-Evil:1'],
  origin: ['null', 'https://evil.example', 'file://', '\xff'],
  authorization: [
    'Bearer',
    'Basic',
    'Basic !!!',
    'Bearer wrong',
    'Basic dXNlcjp3cm9uZw==',
    `Bearer ${'x'.repeat(3_000)}`,
  ],
  'x-forwarded-for': ['127.0.0.1', "'; --", '::1'],
  'x-http-method-override': ['DELETE', 'TRACE'],
  host: ['', 'evil.example', 'localhost:99999', '[::1', 'a b'],
  cookie: ['a=b', `${'a=b;'.repeat(800)}`],
  range: ['bytes=0-', 'bytes=9-1', 'x'],
  expect: ['100-continue', 'nothing-good'],
  cookie2: ['x'],
};

/** @param pools real values; `id` and its kin go into addresses as well */
export function fuzzRequests(routes: readonly Route[], pools: Pools): fc.Arbitrary<FuzzRequest> {
  const to = (wanted: (route: Route) => boolean) =>
    fc.constantFrom(...routes.filter(wanted)).chain((route) => requestTo(route, pools));
  const isDashboard = ({ path }: Route) => path.startsWith(DASHBOARD_PATH);
  const [known, pushes] = [to((route) => !isDashboard(route)), to(({ path }) => path === BATCH_PATH)];
  const dashboard = fc.tuple(to(isDashboard), fc.constantFrom(...(pools.admin_token ?? ['']), 'wrong')).map(asAdmin);
  const nowhere = fc.tuple(fc.constantFrom(...METHODS, ...ODD_METHODS), fc.webPath()).map(([method, path]) => ({
    method,
    path: path.startsWith('/') ? path : `/${path}`,
    headers: {},
  }));
  return fc.oneof(
    { weight: 6, arbitrary: known },
    { weight: 4, arbitrary: pushes },
    { weight: 1, arbitrary: dashboard },
    { weight: 1, arbitrary: nowhere },
  );
}

/** The dashboard may be read by whoever knows the token; what changes the queue there is only tried without it. */
function asAdmin([request, token]: [FuzzRequest, string]): FuzzRequest {
  const given = request.method === 'GET' ? token : 'wrong';
  return { ...request, headers: { ...request.headers, authorization: `Bearer ${given}` } };
}

function requestTo(route: Route, pools: Pools): fc.Arbitrary<FuzzRequest> {
  const method = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...route.methods) },
    { weight: 1, arbitrary: fc.constantFrom(...METHODS) },
    { weight: 1, arbitrary: fc.constantFrom(...ODD_METHODS) },
  );
  return method.chain((chosen) => {
    const schemas = ROUTE_SCHEMAS[`${chosen} ${route.path}`] ?? {};
    const path = addressOf(route.path, pools);
    const query = schemas.query === undefined ? noQuery : queryOf(arbitraryOf(schemas.query.describe(), pools));
    const json =
      route.path === BATCH_PATH
        ? batchOf(pools)
        : schemas.body === undefined
          ? hostileValue
          : arbitraryOf(schemas.body.describe(), pools);
    const hasBody = ['POST', 'PUT', 'PATCH'].includes(chosen) ? 20 : 1;
    return fc
      .record({
        path,
        query,
        headers: headersOf(),
        sent: fc.oneof({ weight: hasBody, arbitrary: bodyOf(json) }, { weight: 1, arbitrary: fc.constant(undefined) }),
      })
      .map((parts) => assemble(chosen, parts));
  });
}

interface Parts {
  path: string;
  query: string;
  headers: Record<string, string>;
  sent: { body: Buffer; headers: Record<string, string> } | undefined;
}

function assemble(method: string, { path, query, headers, sent }: Parts): FuzzRequest {
  const address = query === '' ? path : `${path}?${query}`;
  if (sent === undefined) return { method, path: address, headers };
  return { method, path: address, headers: { ...headers, ...sent.headers }, body: sent.body };
}

function addressOf(path: string, pools: Pools): fc.Arbitrary<string> {
  const ids = (pools.id ?? []).map(encodeURIComponent);
  const segment = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...ids, 'sync') },
    { weight: 2, arbitrary: fc.constantFrom(...SEGMENTS) },
    {
      weight: 1,
      arbitrary: fc.string({ unit: 'binary', maxLength: 30 }).map((text) => encodeURIComponent(text.toWellFormed())),
    },
  );
  const parts = path.split('/').map((part) => (part.startsWith(':') ? segment : fc.constant(part)));
  const shape = fc.constantFrom('', '', '', '', '', '', '/', '//', '#x', ';a=b');
  return fc.tuple(fc.tuple(...parts), shape).map(([all, end]) => `${all.join('/')}${end}`);
}

const hostileQuery = fc.constantFrom(
  'a=1',
  'limit=1&limit=2',
  'limit[]=1',
  'a[b][c]=1',
  '%',
  '=',
  '&&&',
  '__proto__[x]=1',
  `q=${'x'.repeat(4_000)}`,
);

/** Of a route that takes no query: whatever it is given is refused, so it is mostly given none. */
const noQuery = fc.oneof({ weight: 8, arbitrary: fc.constant('') }, { weight: 1, arbitrary: hostileQuery });

function queryOf(value: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  const written = value.map((given) => {
    const params = new URLSearchParams();
    for (const [key, inner] of Object.entries(Object(given))) {
      // A long poll that nobody waits for only costs time.
      const text = typeof inner === 'object' ? writeJson(inner) : String(inner);
      params.append(key, text.toWellFormed().slice(0, 2_000));
    }
    return params.toString();
  });
  return fc.oneof({ weight: 8, arbitrary: written }, { weight: 1, arbitrary: hostileQuery });
}

function headersOf(): fc.Arbitrary<Record<string, string>> {
  const one = fc
    .constantFrom(...Object.keys(HEADERS))
    .chain((name) => fc.tuple(fc.constant(name), fc.constantFrom(...(HEADERS[name] ?? ['']))));
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: fc.array(one, { minLength: 1, maxLength: 3 }).map((pairs) => Object.fromEntries(pairs)) },
  );
}

function batchOf(pools: Pools): fc.Arbitrary<unknown> {
  const item = fc.oneof(
    {
      weight: 12,
      arbitrary: fc
        .constantFrom(...Object.values(itemSchemas))
        .chain((schema) => arbitraryOf(schema.describe(), pools)),
    },
    { weight: 1, arbitrary: hostileValue },
  );
  const items = fc.array(item, { minLength: 1, maxLength: 8 });
  return fc.record(
    { items, client_timestamp: fc.oneof(fc.constantFrom(...(pools.updated_at ?? [''])), hostileValue) },
    { requiredKeys: ['items'] },
  );
}

/** How a body travels: mostly as it should, sometimes cut, doubled, packed, spoilt or mislabelled. */
function bodyOf(json: fc.Arbitrary<unknown>): fc.Arbitrary<{ body: Buffer; headers: Record<string, string> }> {
  const text = fc.oneof({ weight: 12, arbitrary: json.map(writeJson) }, { weight: 1, arbitrary: hostileBody });
  const plain = text.map((body) => pack(Buffer.from(body)));
  const spoilt = fc
    .tuple(text, fc.nat(), fc.constantFrom(...TRAVELS))
    .map(([body, at, travel]) => travel(Buffer.from(body), at));
  return fc.oneof({ weight: 5, arbitrary: plain }, { weight: 1, arbitrary: spoilt });
}

function pack(body: Buffer, headers: Record<string, string> = {}) {
  return { body, headers: { 'content-type': 'application/json', ...headers } };
}

/** Overlong, halves of surrogates in UTF-8, bytes that never occur in it. */
const BAD_UTF8 = [
  Buffer.from([0xc0, 0xaf]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xff, 0xfe]),
  Buffer.from([0x80]),
];

const TRAVELS: ((body: Buffer, at: number) => ReturnType<typeof pack>)[] = [
  (body, at) => pack(body.subarray(0, at % (body.length + 1))),
  (body) => pack(Buffer.concat([body, body])),
  (body, at) => {
    const cut = at % (body.length + 1);
    return pack(Buffer.concat([body.subarray(0, cut), BAD_UTF8[at % BAD_UTF8.length] ?? body, body.subarray(cut)]));
  },
  (body) => pack(gzipSync(body), { 'content-encoding': 'gzip' }),
  (body) => pack(body, { 'content-encoding': 'gzip' }),
  (body) => pack(deflateSync(body), { 'content-encoding': 'deflate' }),
  (body) => pack(gzipSync(body).subarray(0, 12), { 'content-encoding': 'gzip' }),
  (body) => pack(gzipSync(gzipSync(body)), { 'content-encoding': 'gzip, gzip' }),
  (body) => pack(body, { 'content-encoding': 'br' }),
  (body) => pack(body, { 'content-encoding': 'zstd' }),
  () => pack(BOMB, { 'content-encoding': 'gzip' }),
  () => pack(BOMB_IN_JSON, { 'content-encoding': 'gzip' }),
  (body) => pack(body, { 'content-type': 'text/plain' }),
  (body) => pack(body, { 'content-type': 'application/x-www-form-urlencoded' }),
  (body) => pack(body, { 'content-type': 'multipart/form-data; boundary=x' }),
  (body) => pack(body, { 'content-type': 'application/json; charset=utf-16' }),
  (body) => pack(Buffer.from(body.toString(), 'utf16le'), { 'content-type': 'application/json; charset=utf-16le' }),
  (body) => pack(body, { 'content-type': 'application/json; charset=' }),
  (body) => pack(body, { 'content-type': ';;;' }),
  (body) => pack(body, { 'content-type': 'application/json, text/html' }),
  (body) => pack(body, { 'content-type': 'application/vnd.api+json' }),
];
