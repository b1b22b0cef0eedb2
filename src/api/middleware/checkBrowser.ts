// The first thing that is asked of a request; the rule is in browserAccess.ts.
import type { RequestHandler } from 'express';
import { type BrowserAccess, isWriteMethod } from '../../browserAccess.js';

/** Lets a request pass that no page of somebody else has made. */
export function checkBrowser(access: BrowserAccess): RequestHandler {
  return (request, _response, next) => {
    const refusal = access.refuse(request, isWriteMethod(request.method));
    if (refusal !== undefined) throw refusal;
    next();
  };
}
