// Sending long answers (I8): in slices, each when the one before was taken, so that a reader who takes nothing, or next to nothing, is found and
// cut; and counted together, so that readers who are slow do not fill the memory of this process.
import type { Server, ServerResponse } from 'node:http';
import type { Response } from 'express';
import { ApiError } from '../errors.js';

/** What a reader has to take within the time of a stall: two kilobytes a second by default. */
const SLICE_BYTES = 65_536;

export interface Answers {
  /** Of answers that are being sent and that their readers have not taken. */
  unreadBytes(): number;
  /** How much more may wait. */
  room(): number;
  /** Sends JSON as the whole answer. Resolves when it is taken or its reader was cut. */
  sendJson(response: Response, json: string | Buffer): Promise<void>;
  /** The same for what was only read, and can be asked for again. @throws ApiError overloaded where too much waits already */
  sendPage(response: Response, json: string | Buffer): Promise<void>;
  /** Sends a part of an answer. @returns false if its reader was cut, or has gone */
  write(response: ServerResponse, bytes: Buffer): Promise<boolean>;
  /** Counts bytes that wait elsewhere. @returns what to call when they do not any more */
  hold(bytes: number): () => void;
}

export interface AnswerLimits {
  /** Of answers that wait to be taken, all together. */
  unreadMaxBytes: number;
  /** How long a reader may take nothing. */
  stallMs: number;
}

/** @param onRefuse called when an answer is not sent because too much waits */
export function createAnswers({ unreadMaxBytes, stallMs }: AnswerLimits, onRefuse: () => void): Answers {
  let unread = 0;

  function hold(bytes: number) {
    unread += bytes;
    let isHeld = true;
    return () => {
      if (isHeld) unread -= bytes;
      isHeld = false;
    };
  }

  async function write(response: ServerResponse, bytes: Buffer) {
    const release = hold(bytes.length);
    try {
      for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
        if (response.destroyed) return false;
        const isTaken = response.write(bytes.subarray(at, at + SLICE_BYTES)) || (await taken(response, stallMs));
        if (isTaken) continue;
        response.destroy();
        return false;
      }
      return true;
    } finally {
      release();
    }
  }

  async function sendJson(response: Response, json: string | Buffer) {
    const length = Buffer.byteLength(json);
    response.type('json');
    if (length <= SLICE_BYTES || response.req.method === 'HEAD') response.send(json);
    else if (
      await write(response.set('Content-Length', String(length)), typeof json === 'string' ? Buffer.from(json) : json)
    )
      response.end();
  }

  return {
    unreadBytes: () => unread,
    room: () => Math.max(0, unreadMaxBytes - unread),
    hold,
    write,
    sendJson,
    async sendPage(response, json) {
      if (unread > 0 && unread + json.length > unreadMaxBytes) {
        onRefuse();
        throw new ApiError(
          'overloaded',
          `Answers of ${unreadMaxBytes} bytes wait to be read, as many as may (UNREAD_ANSWERS_LIMIT).`,
        );
      }
      await sendJson(response, json);
    },
  };
}

/** Has connections of this server cut on which the rest of an answer moves no byte for `stallMs`, whatever was answered. */
export function cutUnread(server: Server, stallMs: number): void {
  server.on('request', (_request, response) => {
    response.once('prefinish', () => {
      if (response.writableLength > 0) response.setTimeout(stallMs);
    });
  });
}

/** Resolves when what was written is taken: true; false if it is not for `stallMs`, or when the connection closes. */
export function taken(response: ServerResponse, stallMs: number, signal?: AbortSignal): Promise<boolean> {
  // By hand: AbortSignal.any() over AbortSignal.timeout() may be collected as garbage before it fires.
  return new Promise((resolve) => {
    const settle = (isTaken: boolean) => () => {
      clearTimeout(timer);
      response.off('drain', onDrain).off('close', onClose);
      signal?.removeEventListener('abort', onAbort);
      resolve(isTaken);
    };
    const onDrain = settle(true);
    const onClose = settle(false);
    // The end of this process is no fault of the client's.
    const onAbort = settle(true);
    // An answer behind others on a connection that is gone hears of neither; it is let go by the time, for which no process waits.
    const timer = setTimeout(settle(false), stallMs).unref();
    response.once('drain', onDrain).once('close', onClose);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
  });
}
