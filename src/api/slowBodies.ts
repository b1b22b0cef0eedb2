// Bodies that stop on their way. A slow line takes the time that it takes; a client that sends next to nothing for a while is answered 408, as
// one that is late altogether (brokenRequests.ts). That is looked at by the bytes of its connection, for all requests together.
import type { IncomingMessage, Server } from 'node:http';
import { LATE } from './brokenRequests.js';

/** What has to come within the time of a silence: a hundred bytes a second by default, so that a byte now and then is none. */
const MIN_BYTES = 1_024;
const LOOKS_PER_SILENCE = 20;

interface Progress {
  bytes: number;
  atMs: number;
}

/** Has slow bodies on this server closed. @param silenceMs how long next to nothing may come. @returns ends the looks */
export function closeSlowBodies(server: Server, silenceMs: number): () => void {
  const receiving = new Map<IncomingMessage, Progress>();

  server.on('request', (request: IncomingMessage) => {
    const { headers, socket } = request;
    const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
    if (!hasBody) return;
    receiving.set(request, { bytes: socket.bytesRead, atMs: performance.now() });
    request.once('close', () => receiving.delete(request));
  });

  function look() {
    const nowMs = performance.now();
    for (const [request, progress] of receiving) {
      const { bytesRead } = request.socket;
      if (request.complete || request.socket.destroyed) {
        receiving.delete(request);
      } else if (bytesRead - progress.bytes >= MIN_BYTES) {
        receiving.set(request, { bytes: bytesRead, atMs: nowMs });
      } else if (nowMs - progress.atMs >= silenceMs) {
        receiving.delete(request);
        const error = Object.assign(new Error('the body of a request stopped'), { code: LATE });
        server.emit('clientError', error, request.socket);
      }
    }
  }
  const timer = setInterval(look, Math.max(10, silenceMs / LOOKS_PER_SILENCE));
  return () => clearInterval(timer);
}
