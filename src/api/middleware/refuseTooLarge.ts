// A body that says itself that it is too large is refused before it is read: over a slow line it would end as a 408, which asks for the same
// again. One that does not say its length is refused when it has come.
import type { RequestHandler } from 'express';
import { bodyTooLarge } from '../problem.js';

/** @throws ApiError too_large */
export const refuseTooLarge =
  (limitBytes: number): RequestHandler =>
  (request, _response, next) => {
    if (Number(request.get('content-length') ?? 0) > limitBytes) throw bodyTooLarge(limitBytes);
    next();
  };
