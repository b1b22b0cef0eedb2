// Requests that a connection sends without waiting for answers (HTTP pipelining). Node begins them all, up to a thousand of one chunk: their
// answers wait in memory behind the first one, and are never told that the connection has gone, so that a stream among them keeps its place for
// ever. Here each read is begun when the answer before it has been sent: a connection holds one of them (I8).
import type { RequestListener, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { isWriteMethod } from '../browserAccess.js';

/** Serves the reads of each connection one after the other. Writes are begun at once: their bodies would stop on the way (slowBodies.ts). */
export function serveInTurn(serve: RequestListener): RequestListener {
  const last = new WeakMap<Duplex, ServerResponse>();
  return (request, response) => {
    const { method, socket } = request;
    const before = last.get(socket);
    last.set(socket, response);
    if (before === undefined || before.writableFinished || isWriteMethod(method)) return serve(request, response);
    before.once('close', () => {
      // When the connection goes, the answer under way is closed as well, and nobody waits for those behind it.
      if (!socket.destroyed) serve(request, response);
    });
  };
}
