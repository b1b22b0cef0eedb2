// Cross-origin resource sharing: pages of the origins in CORS_ORIGIN may call the API and read what it answers.
import cors from 'cors';
import type { RequestHandler } from 'express';

/** Headers of answers that a page may read beside the few that it always may. */
export const EXPOSED_HEADERS = [
  'Allow',
  'ETag',
  'Link',
  'Location',
  'Preference-Applied',
  'Retry-After',
  'Sync-Cursor',
  'Sync-Pending',
  'X-Request-Id',
];
const PREFLIGHT_MAX_AGE_S = 600;

/** For addresses that other pages may call: Bull Board and /metrics are for none. */
export function allowOrigins(origins: readonly string[]): RequestHandler[] {
  const origin = origins.includes('*') ? '*' : [...origins];
  return [allowPrivateNetwork(origins), cors({ origin, exposedHeaders: EXPOSED_HEADERS, maxAge: PREFLIGHT_MAX_AGE_S })];
}

/** Browsers that ask whether a public page may reach a server on a private network (Private Network Access); cors does not answer that. */
function allowPrivateNetwork(origins: readonly string[]): RequestHandler {
  return (request, response, next) => {
    const isAsked = request.method === 'OPTIONS' && request.get('access-control-request-private-network') === 'true';
    const origin = request.get('origin') ?? '';
    if (isAsked && (origins.includes('*') || origins.includes(origin))) {
      response.set('Access-Control-Allow-Private-Network', 'true');
    }
    next();
  };
}
