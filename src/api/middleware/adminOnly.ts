// The door to the dashboard: open in development, and with ADMIN_TOKEN only for those who know it.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { RequestHandler } from 'express';
import { ApiError } from '../../errors.js';

/** Lets a request pass that carries the token as bearer token or as the password of basic auth (any user name). */
export function adminOnly(token: string): RequestHandler {
  return (request, _response, next) => {
    const [scheme = '', credentials = ''] = (request.get('authorization') ?? '').split(' ');
    const given = scheme.toLowerCase() === 'basic' ? passwordOf(credentials) : credentials;
    if (isEqual(given, token)) return next();
    throw new ApiError('unauthorized', 'This needs the admin token.', {
      headers: { 'WWW-Authenticate': 'Basic realm="Task Sync admin", charset="UTF-8"' },
    });
  };
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
