// Routes as a table: an address, its methods, what their queries may hold, and 405 with the Allow header for every other method.
import type { RequestHandler, Router } from 'express';
import type Joi from 'joi';
import { ApiError } from '../../errors.js';
import { namesOf, requireKnown } from '../query.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
type Method = (typeof METHODS)[number];

/**
 * Registers an address with its handlers.
 * @param queries the schema of a method's query, which its handler reads with readQuery; a method without one takes no parameters
 */
export function route(
  router: Router,
  path: string,
  handlers: Partial<Record<Method, RequestHandler>>,
  queries: Partial<Record<Method, Joi.ObjectSchema>> = {},
): void {
  const known = router.route(path);
  for (const method of METHODS) {
    const handler = handlers[method];
    if (handler !== undefined) known[method](knownQuery(queries[method]), handler);
  }
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

function knownQuery(schema: Joi.ObjectSchema | undefined): RequestHandler {
  const names = namesOf(schema);
  return (request, _response, next) => {
    requireKnown(request.url, names);
    next();
  };
}
