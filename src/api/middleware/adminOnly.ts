// The door to what is for operators; the rule is in adminAccess.ts.
import type { RequestHandler } from 'express';
import { type AdminRule, refuseStranger } from '../../adminAccess.js';

/** Lets a request pass that may see `path`. */
export function adminOnly(rule: AdminRule, path: string): RequestHandler {
  return (request, _response, next) => {
    const refusal = refuseStranger(rule, path, request.get('authorization'));
    if (refusal !== undefined) throw refusal;
    next();
  };
}
