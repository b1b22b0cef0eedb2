// A small EventSource over a socket of its own, which can stop reading as a phone without network does: nothing between it and the
// process takes bytes meanwhile but the buffers of the system.
import { connect } from 'node:net';
import { expect } from 'chai';
import { forgetCleanup, registerCleanup } from './cleanup.js';
import { eventually } from './system.js';

export interface StreamEvent {
  name: string;
  id: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read events freely
  data: any;
}

export interface EventStream {
  /** Every event so far. Who reads much keeps little: `onChange` sees the changes, `events` all others. */
  events: StreamEvent[];
  /** How the answer began; empty until then. */
  head(): string;
  /** True when the other side has ended it. */
  ended(): boolean;
  pause(): void;
  resume(): void;
  close(): void;
}

/** @param onChange called for each `change` event */
export function openEventStream(url: string, onChange: (event: StreamEvent) => void, lastEventId = ''): EventStream {
  const { hostname, port, pathname, host } = new URL(url);
  const events: StreamEvent[] = [];
  let text = '';
  let head = '';
  let ended = false;
  const socket = connect(Number(port), hostname);
  socket.setEncoding('utf8');
  // HTTP/1.0 and nothing to keep alive: the body is not cut in chunks, and ends with the connection.
  socket.write(
    `GET ${pathname} HTTP/1.0\r\nHost: ${host}\r\nAccept: text/event-stream\r\n${lastEventId === '' ? '' : `Last-Event-ID: ${lastEventId}\r\n`}\r\n`,
  );
  const stream: EventStream = {
    events,
    head: () => head,
    ended: () => ended,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close() {
      forgetCleanup(stream);
      socket.destroy();
    },
  };
  socket.on('data', (chunk) => {
    text += chunk;
    if (head === '') {
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      head = text.slice(0, end);
      text = text.slice(end + 4);
    }
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) => block.match(new RegExp(`^${name}:\\s?(.*)$`, 'm'))?.[1];
      const data = field('data');
      if (data === undefined) continue;
      const event = { name: field('event') ?? 'message', id: field('id') ?? '', data: JSON.parse(data) };
      if (event.name === 'change') onChange(event);
      else events.push(event);
    }
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    ended = true;
  });
  registerCleanup(stream, stream.close);
  return stream;
}

/** Follows a chain of changes: each must continue where the one before ended (no gap), with a higher seq (no repeat). */
export function createChain() {
  const ids: string[] = [];
  let seq = 0;
  let cursor: string | undefined;
  return {
    /** Ids of the tasks, in order. */
    ids: ids as readonly string[],
    cursor: () => cursor ?? '',
    /** For a stream that begins now: its `ready` event. */
    begin(event: StreamEvent) {
      cursor = event.data.cursor;
    },
    follow({ id, data }: StreamEvent) {
      if (cursor !== undefined) expect(data.prev_cursor).to.equal(cursor);
      expect(data.task.seq).to.be.greaterThan(seq);
      expect(id).to.equal(data.cursor);
      seq = data.task.seq;
      cursor = data.cursor;
      ids.push(data.task.id);
    },
  };
}

/** A stream that begins now, and the chain of what it brings. */
export async function openChain(url: string) {
  const chain = createChain();
  const broken: unknown[] = [];
  const stream = openEventStream(`${url}/api/sync/stream`, (event: StreamEvent) => {
    try {
      if (chain.cursor() === '') chain.begin(stream.events[0] ?? event);
      chain.follow(event);
    } catch (error) {
      broken.push(error);
    }
  });
  await eventually(() => stream.events.some(({ name }) => name === 'ready'));
  expect(stream.head()).to.match(/^HTTP\/1\.1 200/);
  return { chain, stream, broken };
}
