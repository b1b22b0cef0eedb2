// HTTP as a device speaks it: keep-alive, one time limit a request, and a clear word about what is known of a request that failed.
import { Agent, type IncomingHttpHeaders, request as sendRequest } from 'node:http';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: answers are checked where they are used
  body: any;
  tookMs: number;
}

/** No answer came. `isSent` false: no connection was made, so the server cannot have seen the request. */
export class NoAnswer extends Error {
  override name = 'NoAnswer';
  constructor(
    message: string,
    readonly isSent: boolean,
  ) {
    super(message);
  }
}

export interface Client {
  /** @throws NoAnswer */
  send(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  close(): void;
}

/** @param timeoutMs after this the request is given up: it may have been served all the same */
export function createClient(timeoutMs: number): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  return {
    send: (method, url, body, headers = {}) => {
      const startedAt = performance.now();
      const text = body === undefined ? undefined : JSON.stringify(body);
      return new Promise((resolve, reject) => {
        let isSent = false;
        const fail = (error: Error) => reject(new NoAnswer(error.message || error.name, isSent));
        const sent = sendRequest(url, {
          method,
          agent,
          headers: { ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        });
        const timer = setTimeout(
          () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)),
          Math.max(1, timeoutMs),
        );
        sent.once('close', () => clearTimeout(timer));
        sent.once('socket', (socket) => {
          if (!socket.connecting) isSent = true;
          else socket.once('connect', () => (isSent = true));
        });
        sent.on('error', fail);
        sent.once('response', (response) => {
          let received = '';
          response.setEncoding('utf8');
          response.on('data', (chunk) => (received += chunk));
          response.on('error', fail);
          response.once('close', () => fail(new Error('the answer was cut off')));
          response.once('end', () => {
            if (!response.complete) return;
            try {
              const parsed = received === '' ? undefined : JSON.parse(received);
              const { statusCode = 0, headers: given } = response;
              resolve({ status: statusCode, headers: given, body: parsed, tookMs: performance.now() - startedAt });
            } catch (error) {
              fail(error instanceof Error ? error : new Error(String(error)));
            }
          });
        });
        sent.end(text);
      });
    },
    close: () => agent.destroy(),
  };
}
