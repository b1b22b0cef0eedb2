// One keep-alive connection of a device. undici and not node:http, because its requests cost the generator half as much CPU time (22 against 45
// us), which on few cores is taken from what is measured; and not autocannon, which repeats requests that are made beforehand, while here
// every batch has operations of its own, and two of the protocols need what the answer before said.
import { Client } from 'undici';
import type { HttpRequest } from './devices.js';
import { type Exchange, NOTHING } from './jobs.js';

/** A naive server under 500-operation batches needs seconds. */
const ANSWER_LIMIT_MS = 60_000;
/** A server that asks to be left alone is, but not for so long that nothing is measured. */
const REFUSED_PAUSE_MS = 50;
const REFUSED = new Set([429, 503]);

export interface Connection {
  exchange(request: HttpRequest, read: (text: string) => Exchange): Promise<Exchange>;
  close(): Promise<void>;
}

export function connect(url: string): Connection {
  const client = new Client(url, {
    headersTimeout: ANSWER_LIMIT_MS,
    bodyTimeout: ANSWER_LIMIT_MS,
    keepAliveTimeout: 60_000,
  });
  return {
    async exchange({ method, path, body }, read) {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      try {
        const answer = await client.request({ method, path, headers, ...(body === undefined ? {} : { body }) });
        const text = await answer.body.text();
        if (answer.statusCode < 300) return read(text);
        await pause();
        if (REFUSED.has(answer.statusCode)) return { ...NOTHING, refused: 1 };
        return {
          ...NOTHING,
          errors: 1,
          fault: `${method} ${path} was answered ${answer.statusCode}: ${text.slice(0, 300)}`,
        };
      } catch (error) {
        await pause();
        return { ...NOTHING, errors: 1, fault: `${method} ${path}: ${error instanceof Error ? error.message : error}` };
      }
    },
    close: () => client.destroy(),
  };
}

const pause = () => new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE_MS));
