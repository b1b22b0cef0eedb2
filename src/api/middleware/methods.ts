// Routes as a table: an address, its methods, and 405 with the Allow header for every other method.
import type { RequestHandler, Router } from 'express';
import { ApiError } from '../../errors.js';

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** Registers an address with its handlers. */
export function route(router: Router, path: string, handlers: Partial<Record<Method, RequestHandler>>): void {
  const known = router.route(path);
  if (handlers.get) known.get(handlers.get);
  if (handlers.post) known.post(handlers.post);
  if (handlers.put) known.put(handlers.put);
  if (handlers.patch) known.patch(handlers.patch);
  if (handlers.delete) known.delete(handlers.delete);
  const allowed = [...Object.keys(handlers).map((method) => method.toUpperCase()), 'OPTIONS'].join(', ');
  known.all((request, response) => {
    response.set('Allow', allowed);
    if (request.method === 'OPTIONS') {
      response.status(204).end();
      return;
    }
    throw new ApiError('method_not_allowed', `${request.method} does not work here; use one of ${allowed}.`);
  });
}
