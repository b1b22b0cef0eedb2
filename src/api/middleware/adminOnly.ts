// The door to what is for operators; the rule is in adminAccess.ts.
import type { RequestHandler } from 'express';
import type { RefuseStranger } from '../../adminAccess.js';

/** Lets a request pass that may see `path`. */
export function adminOnly(refuseStranger: RefuseStranger, path: string): RequestHandler {
  return (request, _response, next) => {
    const refusal = refuseStranger(request, path);
    if (refusal !== undefined) throw refusal;
    next();
  };
}
