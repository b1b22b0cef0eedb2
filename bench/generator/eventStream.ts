// A device that listens: one Server-Sent Events stream on a socket of its own.
import { get } from 'node:http';

export interface EventStream {
  close(): void;
}

/** What a device notes of an event is the operation that it came from. */
const OPERATION = /"op_id":"([^"]+)"/;
/** So many connects at once do not overrun the listen backlog. */
const OPENED_AT_ONCE = 50;

/** Opens streams; resolves when each has had its `ready`. @param onChange the op_id of a change, at the moment it arrived */
export async function openEventStreams(
  url: string,
  count: number,
  onChange: (opId: string) => void,
): Promise<EventStream[]> {
  const streams: EventStream[] = [];
  while (streams.length < count) {
    const wave = Math.min(OPENED_AT_ONCE, count - streams.length);
    streams.push(...(await Promise.all(Array.from({ length: wave }, () => openEventStream(url, onChange)))));
  }
  return streams;
}

function openEventStream(url: string, onChange: (opId: string) => void): Promise<EventStream> {
  return new Promise((resolve, reject) => {
    const request = get(
      `${url}/api/sync/stream`,
      { agent: false, headers: { accept: 'text/event-stream' } },
      (response) => {
        if (response.statusCode !== 200) reject(new Error(`the stream was answered ${response.statusCode}`));
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
          for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
            const event = text.slice(0, end);
            text = text.slice(end + 2);
            if (/^event: ?ready$/m.test(event)) resolve({ close: () => void request.destroy() });
            else if (/^event: ?change$/m.test(event)) onChange(OPERATION.exec(event)?.[1] ?? '');
          }
        });
        // Ended by close() or by the server: whoever misses its events will say so.
        response.on('error', () => undefined);
      },
    );
    request.on('error', reject);
  });
}
