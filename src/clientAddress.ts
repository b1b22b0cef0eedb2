// Where a request comes from, for the log and for limits an address. What a client says of that itself (X-Forwarded-For) counts only as far as
// our own proxies wrote it: each adds the address that it was called from at the end.
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv6 } from 'node:net';

/** @param trustedProxies how many proxies of ours stand in front (TRUSTED_PROXIES) */
export function clientAddress(request: IncomingMessage, trustedProxies: number): string {
  const peer = plain(request.socket.remoteAddress ?? '');
  if (trustedProxies === 0) return peer;
  const header = request.headers['x-forwarded-for'];
  const forwarded = (Array.isArray(header) ? header.join(',') : (header ?? ''))
    .split(',')
    .map((each) => plain(each.trim()));
  // Fewer than expected: a request that did not come through all of them.
  const found = forwarded.at(-Math.min(trustedProxies, forwarded.length)) ?? '';
  return isIP(found) === 0 ? peer : found;
}

/** What one person may have many of counts as one: of an IPv6 address the first 64 bits. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  const groups = [...left, ...(tail === undefined ? [] : zeros), ...right].slice(0, 4);
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '').toLowerCase()).join(':')}::/64`;
}

/** An IPv4 address as such, where a socket listens on both kinds. */
const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '');
