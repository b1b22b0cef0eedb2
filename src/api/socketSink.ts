// A WebSocket as a sink of events: what waits to be sent is bounded, and a peer that is gone without a word is noticed.
import type { WebSocket } from 'ws';
import type { Answers } from './answers.js';
import type { EventSink } from './follow.js';

const PING_EVERY_MS = 15_000;
/** Bytes that may wait for a slow reader before its events stop. */
const BUFFERED_MAX_BYTES = 262_144;
const STUCK_AFTER_MS = 15_000;

export interface SocketSink extends EventSink {
  sendMessage(message: object): void;
  /** Takes nothing more from a peer that does not take its answers; cuts one that takes none at all. */
  throttle(signal: AbortSignal): Promise<void>;
}

/** The sink of a socket; sendMessage is for what is no event. @param hold counts what waits to be sent */
export function createSocketSink(socket: WebSocket, hold: Answers['hold']): SocketSink {
  let flushed = Promise.resolve();
  const sendMessage = (message: object) => {
    if (socket.readyState !== socket.OPEN) return;
    const text = JSON.stringify(message);
    const release = hold(text.length);
    flushed = new Promise((resolve) => {
      // Also called when the socket is gone.
      socket.send(text, () => {
        release();
        resolve();
      });
    });
  };
  async function drained(signal: AbortSignal) {
    if (socket.bufferedAmount <= BUFFERED_MAX_BYTES) return true;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, STUCK_AFTER_MS, false);
      signal.addEventListener('abort', () => resolve(true), { once: true });
    });
    return Promise.race([flushed.then(() => true), tooLate]).finally(() => clearTimeout(timer));
  }
  return {
    sendMessage,
    send: (type, data) => sendMessage({ type, ...data }),
    drained,
    async throttle(signal) {
      if (socket.bufferedAmount <= BUFFERED_MAX_BYTES) return;
      socket.pause();
      if (await drained(signal)) socket.resume();
      else socket.terminate();
    },
  };
}

/** Pings now and then and cuts a peer that does not answer. @returns how to stop that */
export function keepAlive(socket: WebSocket): () => void {
  let isAlive = true;
  socket.on('pong', () => {
    isAlive = true;
  });
  const timer = setInterval(() => {
    if (!isAlive) return socket.terminate();
    isAlive = false;
    socket.ping();
  }, PING_EVERY_MS);
  return () => clearInterval(timer);
}
