// Who may see what is for operators (the dashboard, /metrics): everybody in development, and with ADMIN_TOKEN only those who know it.
// One rule for the api and for the worker's health server. Wrong tokens are limited for each address that they come from.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { clientAddress, networkOf } from './clientAddress.js';
import { ApiError } from './errors.js';

/** Wrong tokens that an address may send at once; afterwards one a second, which a scraper with an old token stays below. */
const WRONG_MAX = 25;
const WRONG_EVERY_MS = 1_000;
/** Addresses that are remembered; the one that was wrong longest ago is forgotten first. */
const ADDRESSES_MAX = 1_000;

export interface AdminRule {
  adminToken?: string | undefined;
  isProduction: boolean;
  trustedProxies: number;
}

/** Why a request may not see `path`, an address for operators; undefined when it may. */
export type RefuseStranger = (request: IncomingMessage, path: string) => ApiError | undefined;

/**
 * Makes the rule of a process. The token comes as bearer token, or as the password of basic auth with any user name. Refusals are
 * unauthorized, too_many_attempts, or not_found in production without a token, where the address does not exist.
 * @param nowMs a clock that only goes forward
 */
export function createAdminAccess(rule: AdminRule, nowMs: () => number): RefuseStranger {
  const { adminToken, isProduction, trustedProxies } = rule;
  const wrongTokens = createWrongTokens(nowMs);
  return (request, path) => {
    if (adminToken === undefined) {
      if (!isProduction) return undefined;
      return new ApiError('not_found', `There is nothing at ${path}: in production it needs ADMIN_TOKEN to be set.`);
    }
    const given = tokenOf(request.headers.authorization ?? '');
    // A browser asks without one first.
    if (given === '') return unauthorized();
    const network = networkOf(clientAddress(request, trustedProxies));
    // Before it is looked at: whoever guesses must not hear that a guess was right.
    if (wrongTokens.areTooMany(network)) {
      return new ApiError('too_many_attempts', 'Too many wrong admin tokens came from this address.', {
        headers: { 'Retry-After': '1' },
      });
    }
    if (isEqual(given, adminToken)) return undefined;
    wrongTokens.count(network);
    return unauthorized();
  };
}

/** A leaky bucket for each network that sent a wrong token. */
function createWrongTokens(nowMs: () => number) {
  const buckets = new Map<string, { level: number; atMs: number }>();
  const levelOf = (network: string) => {
    const { level, atMs } = buckets.get(network) ?? { level: 0, atMs: nowMs() };
    return Math.max(0, level - (nowMs() - atMs) / WRONG_EVERY_MS);
  };
  return {
    areTooMany: (network: string) => levelOf(network) > WRONG_MAX - 1,
    count(network: string) {
      const level = levelOf(network) + 1;
      buckets.delete(network);
      buckets.set(network, { level, atMs: nowMs() });
      const [oldest] = buckets.keys();
      if (buckets.size > ADDRESSES_MAX && oldest !== undefined) buckets.delete(oldest);
    },
  };
}

function unauthorized(): ApiError {
  return new ApiError('unauthorized', 'This needs the admin token.', {
    headers: { 'WWW-Authenticate': 'Basic realm="Task Sync admin", charset="UTF-8"' },
  });
}

function tokenOf(authorization: string): string {
  const [scheme = '', credentials = ''] = authorization.split(' ');
  return scheme.toLowerCase() === 'basic' ? passwordOf(credentials) : credentials;
}

function passwordOf(credentials: string): string {
  const decoded = Buffer.from(credentials, 'base64').toString();
  return decoded.slice(decoded.indexOf(':') + 1);
}

/** Compares hashes, which have one length, in a time that says nothing about the token. */
function isEqual(given: string, token: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(token));
}
