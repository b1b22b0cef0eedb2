// Sends one hostile request and says what came back, byte for byte. Never throws: no answer is an answer too.
import { type Agent, request as sendRequest } from 'node:http';
import type { FuzzRequest } from './fuzzRequests.js';

export interface FuzzAnswer {
  /** 0: the connection was closed without one. */
  status: number;
  contentType: string;
  /** Status line, headers and body as one text. */
  text: string;
  /** The part of `text` that is the body. */
  body: string;
  /** It was still open when the patience was over. */
  isHeld: boolean;
  /** Why there was no request or no answer. */
  error?: string;
}

/** No answer of ours is longer than a page of the feed. */
const READ_MAX_BYTES = 8 * 1_048_576;

/** @param patienceMs after this the connection is closed by us */
export function sendFuzz(url: string, given: FuzzRequest, agent: Agent, patienceMs: number): Promise<FuzzAnswer> {
  return new Promise((resolve) => {
    let answer: FuzzAnswer = { status: 0, contentType: '', text: '', body: '', isHeld: false };
    const finish = (error?: string) => {
      clearTimeout(timer);
      resolve(error === undefined ? answer : { ...answer, error });
    };
    const { hostname, port } = new URL(url);
    // A signal and not a timeout of the socket: data that drips must not extend it.
    const timer = setTimeout(() => {
      answer = { ...answer, isHeld: true };
      sent.destroy(new Error('patience is over'));
    }, patienceMs);
    let sent: ReturnType<typeof sendRequest>;
    try {
      const { method, path, headers } = given;
      const length = given.body === undefined ? {} : { 'content-length': String(given.body.length) };
      sent = sendRequest({ hostname, port, method, path, agent, headers: { ...headers, ...length } });
    } catch (error) {
      // Node refuses to send it: sendRaw is for those.
      return finish(`not sent: ${error}`);
    }
    sent.on('error', (error) => finish(error.message));
    sent.once('upgrade', (_response, socket) => socket.destroy());
    sent.once('response', (response) => {
      const { statusCode = 0 } = response;
      const head = `${statusCode} ${response.rawHeaders.join('\n')}\n`;
      const contentType = response.headers['content-type'] ?? '';
      answer = { ...answer, status: statusCode, contentType, text: head };
      let bytes = 0;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        bytes += chunk.length;
        answer.body += chunk;
        answer.text += chunk;
        // A stream has no end: what it begins with is enough.
        if (bytes > READ_MAX_BYTES || contentType.startsWith('text/event-stream')) sent.destroy();
      });
      response.on('error', () => finish());
      response.once('close', () => finish());
    });
    sent.end(given.body);
  });
}
