// Connections that have died without a word: a firewall has forgotten them, the server's machine is gone. TCP itself would take a quarter of
// an hour to notice. A connection that owes an answer for too long is dead, and so is every other one that has not been heard since:
// all are cut together. Else each request in turn would find its own dead connection in a pool, and a transaction would wait twice, the
// second time for its ROLLBACK. What is pipelined counts as answered with the first piece of data behind it; if the connection dies just
// then, the next thing that is written to it shows it.
import type { Socket } from 'node:net';

interface Watched {
  heardAtMs: number;
  /** What was written when it was heard last: more means that an answer is owed. */
  writtenThen: number;
  /** Since when, as far as it was looked at. */
  owesSinceMs: number | undefined;
}

/** How often it is looked, as a part of the limit. Not a timeout of the socket: each further write would put that off. */
const LOOKS_A_LIMIT = 50;

/** Watches one more connection until it is closed. */
export type SilenceWatch = (stream: Socket) => void;

/**
 * @param limitMs longer than any answer may take
 * @returns watches one more connection until it is closed; one that is silent too long is destroyed with ETIMEDOUT
 */
export function createSilenceWatch(limitMs: number): SilenceWatch {
  const streams = new Map<Socket, Watched>();
  let timer: NodeJS.Timeout | undefined;

  function look() {
    const nowMs = performance.now();
    let isOneDead = false;
    for (const [stream, watched] of streams) {
      if (stream.bytesWritten > watched.writtenThen) watched.owesSinceMs ??= nowMs;
      isOneDead ||= watched.owesSinceMs !== undefined && nowMs - watched.owesSinceMs >= limitMs;
    }
    if (!isOneDead) return;
    for (const [stream, { heardAtMs }] of streams) if (nowMs - heardAtMs >= limitMs) cut(stream);
  }

  function cut(stream: Socket) {
    const error = new Error(`Connection terminated: there was no answer for ${limitMs} ms`);
    stream.destroy(Object.assign(error, { code: 'ETIMEDOUT' }));
  }

  return function watch(stream) {
    const watched: Watched = {
      heardAtMs: performance.now(),
      // Of a connection that has never been heard everything is owed, also what was written before it was watched.
      writtenThen: stream.bytesRead === 0 ? 0 : stream.bytesWritten,
      owesSinceMs: undefined,
    };
    streams.set(stream, watched);
    timer ??= setInterval(look, limitMs / LOOKS_A_LIMIT);
    stream.on('data', () => {
      watched.heardAtMs = performance.now();
      watched.writtenThen = stream.bytesWritten;
      watched.owesSinceMs = undefined;
    });
    stream.once('close', () => {
      streams.delete(stream);
      if (streams.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    });
  };
}
