// Who may see what is for operators (the dashboard, /metrics): everybody in development, and with ADMIN_TOKEN only those who know it.
// One rule for the api and for the worker's health server.
import { createHash, timingSafeEqual } from 'node:crypto';
import { ApiError } from './errors.js';

export interface AdminRule {
  adminToken?: string | undefined;
  isProduction: boolean;
}

/**
 * Why a request may not see `path`, an address for operators; undefined when it may.
 * @param authorization the header: the token as bearer token, or as the password of basic auth with any user name
 * @returns unauthorized, or not_found in production without a token, where the address does not exist
 */
export function refuseStranger(rule: AdminRule, path: string, authorization = ''): ApiError | undefined {
  const { adminToken, isProduction } = rule;
  if (adminToken === undefined) {
    if (!isProduction) return undefined;
    return new ApiError('not_found', `There is nothing at ${path}: in production it needs ADMIN_TOKEN to be set.`);
  }
  const [scheme = '', credentials = ''] = authorization.split(' ');
  const given = scheme.toLowerCase() === 'basic' ? passwordOf(credentials) : credentials;
  if (isEqual(given, adminToken)) return undefined;
  return new ApiError('unauthorized', 'This needs the admin token.', {
    headers: { 'WWW-Authenticate': 'Basic realm="Task Sync admin", charset="UTF-8"' },
  });
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
