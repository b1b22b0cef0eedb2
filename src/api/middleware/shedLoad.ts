// Refusing what this process cannot take on before its body is read, which is most of what a batch costs here. Reads that are cheap, the
// health checks and the metrics always get through.
import type { ErrorRequestHandler, Request, RequestHandler } from 'express';
import type { Admission } from '../admission/admission.js';
import { workspaceOf } from '../request.js';

export const BATCH_PATH = '/api/sync/batch';
/** About a batch of 50 operations. */
const UNKNOWN_BYTES = 16_384;
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Checks every write below /api, and the reads that go through a whole workspace.
 * @param answer answers what is refused. Called here and not by next(error), with which Express walks through all that would have come, in
 *   search of the error handler: with the promises that this saves, a refusal costs 90 us of CPU instead of 105
 */
export function shedLoad(admission: Admission, bodyLimitBytes: number, answer: ErrorRequestHandler): RequestHandler {
  const check = (request: Request) => {
    if (isExpensive(request)) admission.checkLoad(bytesToRead(request, bodyLimitBytes));
    if (isLongRead(request)) admission.checkRead();
    const isBatch = request.method === 'POST' && request.path === BATCH_PATH;
    return isBatch ? admission.checkBacklog(workspaceOf(request)) : undefined;
  };
  return (request, response, next) => {
    const refuse = (error: unknown) => answer(error, request, response, next);
    try {
      const checking = check(request);
      if (checking !== undefined) return checking.then(() => next(), refuse);
    } catch (error) {
      return void refuse(error);
    }
    next();
  };
}

/** What it says; a body in chunks says nothing. One that is too large is refused unread: what it claims must not keep others out. */
function bytesToRead(request: Request, limitBytes: number): number {
  const bytes = Number(request.get('content-length')) || UNKNOWN_BYTES;
  return bytes > limitBytes ? 0 : bytes;
}

function isExpensive(request: Request): boolean {
  if (!request.path.startsWith('/api/')) return false;
  if (!SAFE_METHODS.includes(request.method)) return true;
  // Of these only a GET is expensive: HEAD answers with what it knows without reading.
  if (request.method !== 'GET') return false;
  return request.path === '/api/sync/digest' || (request.get('accept') ?? '').includes('application/x-ndjson');
}

/** Reads of many rows. What became of a batch is none: it is read by keys, and shortened where much waits to be read. */
const LONG_READS = /^\/api\/(tasks|tasks\/[^/]+\/history|sync\/changes|sync\/queue)\/?$/i;

function isLongRead({ method, path }: Request): boolean {
  return method === 'GET' && LONG_READS.test(path);
}
