// What pages of others may make a browser do here: nothing that changes anything, and nothing under a name that is not ours. One rule for
// HTTP and WebSocket, api and worker. Browsers say where a request comes from and pages cannot change that; other clients say nothing.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { ApiError } from './errors.js';

export interface BrowserRule {
  /** The address that is listened on. */
  host: string;
  /** Names that are served, `.example.com` with all below it, * any. Undefined: any, but on a loopback address only its own names. */
  allowedHosts?: readonly string[] | undefined;
  /** Origins whose pages may call the API, * any. */
  corsOrigins: readonly string[];
}

/** The part of a request that is looked at. */
type CheckedRequest = Pick<IncomingMessage, 'headers' | 'rawHeaders' | 'httpVersion' | 'socket'>;

export interface BrowserAccess {
  /**
   * Why a request is not served; undefined when it is.
   * @param isWrite whether it may change something, or opens a connection that can
   * @returns host_not_allowed, origin_not_allowed; invalid_request for a Host that is none, none at all, or several
   */
  refuse(request: CheckedRequest, isWrite: boolean): ApiError | undefined;
}

/** Prepares the rule. */
export function createBrowserAccess(rule: BrowserRule): BrowserAccess {
  const isServed = hostCheck(rule);
  return {
    refuse(request, isWrite) {
      const { headers, socket } = request;
      if (!hasOneHost(request)) return unclearHost('one Host header is needed, and only one may be there');
      // Without one it is no browser.
      if (headers.host && !isServed(headers.host, socket.localAddress)) return hostRefusal(headers.host);
      if (!isWrite || mayWrite(rule.corsOrigins, headers)) return undefined;
      return originRefusal(headers.origin);
    },
  };
}

/** Whether a method may change something; all of Bull Board's and of the API's that do are of this kind. */
export function isWriteMethod(method = ''): boolean {
  return method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS';
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

function isLoopback(name: string): boolean {
  if (isIP(name) === 0) return name === 'localhost' || name.endsWith('.localhost');
  return LOOPBACK.check(name, isIPv6(name) ? 'ipv6' : 'ipv4');
}

/** RFC 9112, 3.2. Node itself would answer without a body where there is none, and take the first of several. HTTP/1.0 needs none. */
function hasOneHost({ rawHeaders, httpVersion }: CheckedRequest): boolean {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count === 1 || (count === 0 && httpVersion === '1.0');
}

/** A name or address, with any port; in brackets where it is an IPv6 address. */
const HOST_HEADER = /^(?:\[([0-9a-f:.]+)\]|([^\s/?#@\\:[\]]+?)\.?)(?::\d*)?$/i;

/**
 * Guards against DNS rebinding: the page of evil.example whose name suddenly resolves to this machine is of the same origin as what it
 * asks here, but it cannot change the Host header, which still says evil.example.
 */
function hostCheck({ host, allowedHosts }: BrowserRule): (header: string, localAddress: string | undefined) => boolean {
  if (allowedHosts === undefined ? !isLoopback(host) : allowedHosts.includes('*')) return () => true;
  const names = new Set([host.toLowerCase(), ...(allowedHosts ?? []).map((each) => each.replace(/^\./, ''))]);
  const suffixes = (allowedHosts ?? []).filter((each) => each.startsWith('.'));
  return (header, localAddress) => {
    const [, address, domain] = HOST_HEADER.exec(header) ?? [];
    const name = (address ?? domain)?.toLowerCase();
    if (name === undefined) return false;
    if (names.has(name) || isLoopback(name) || suffixes.some((each) => name.endsWith(each))) return true;
    // The address that the request came to: health checks ask by it, and nobody can make a name of it.
    return name === localAddress?.replace(/^::ffff:/, '');
  };
}

/** As long as a name can be. */
const SHOWN_CHARS = 255;

function unclearHost(message: string): ApiError {
  return new ApiError('invalid_request', message, { errors: [{ field: 'host', message }] });
}

function hostRefusal(header: string): ApiError {
  if (!HOST_HEADER.test(header)) return unclearHost('the Host header is not a name or address, and perhaps a port');
  const shown = JSON.stringify(header.slice(0, SHOWN_CHARS));
  return new ApiError(
    'host_not_allowed',
    `The host ${shown} is not served here. If it is a name of this server, list it in ALLOWED_HOSTS.`,
  );
}

/**
 * Sec-Fetch-Site is the browser's own comparison and comes first: it is right behind proxies that change Host as well. Browsers leave it
 * out over plain HTTP and Chromium from WebSockets; then Origin is held against the host that was asked for. Neither: no browser.
 */
function mayWrite(corsOrigins: readonly string[], headers: IncomingMessage['headers']): boolean {
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  if (corsOrigins.includes('*') || (origin !== undefined && corsOrigins.includes(origin))) return true;
  if (site === 'same-origin') return true;
  if (site === 'cross-site' || site === 'same-site') return false;
  return origin === undefined || isOwnOrigin(origin, [headers.host, headers['x-forwarded-host']]);
}

/** Without looking at http or https: that is decided by a proxy in front. */
function isOwnOrigin(origin: string, asked: (string | string[] | undefined)[]): boolean {
  if (!/^https?:/.test(origin) || !URL.canParse(origin)) return false;
  const { protocol, host } = new URL(origin);
  return asked.flat().some((each) => {
    const [name = ''] = each?.split(',') ?? [];
    const address = `${protocol}//${name.trim()}`;
    return URL.canParse(address) && new URL(address).host === host;
  });
}

function originRefusal(origin: string | undefined): ApiError {
  const whose =
    origin === undefined ? 'of another site' : `of the origin ${JSON.stringify(origin.slice(0, SHOWN_CHARS))}`;
  return new ApiError(
    'origin_not_allowed',
    `A page ${whose} may not write here. If it belongs to your app, list its origin in CORS_ORIGIN.`,
  );
}
