// One keep-alive connection of a flood. It knows as much of HTTP as our own answers need: a status, Retry-After, a Content-Length. Sender and
// servers share the cores, and what the sender takes is no load on anybody: a refused batch costs it 110 us with node:http, 40 with undici
// and 17 like this.
import { connect, type Socket } from 'node:net';

export interface FloodAnswer {
  /** 0: no answer. */
  status: number;
  retryAfter: string | undefined;
}

const NO_ANSWER: FloodAnswer = { status: 0, retryAfter: undefined };
const HEAD_END = '\r\n\r\n';

/** @param timeoutMs how long an answer may take */
export function createFloodSocket(url: string, timeoutMs: number) {
  const { hostname, port, host } = new URL(url);
  let socket: Socket | undefined;
  let received = '';
  let answered: ((answer: FloodAnswer) => void) | undefined;

  function end(answer: FloodAnswer) {
    const tell = answered;
    answered = undefined;
    received = '';
    tell?.(answer);
  }

  function open(): Socket {
    const opened = connect({ host: hostname, port: Number(port), noDelay: true });
    opened.setEncoding('latin1').setTimeout(timeoutMs, () => opened.destroy());
    opened.on('data', (text: string) => {
      received += text;
      const answer = readAnswer(received);
      if (answer !== undefined) end(answer);
    });
    // What is wrong with it shows as an answer that is missing.
    opened.on('error', () => opened.destroy());
    opened.on('close', () => {
      if (socket === opened) socket = undefined;
      end(NO_ANSWER);
    });
    return opened;
  }

  return {
    /** Posts JSON; one at a time. Never rejects. */
    post(path: string, headers: string, body: string): Promise<FloodAnswer> {
      socket ??= open();
      const length = Buffer.byteLength(body);
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${headers}\r\n${body}`,
      );
      return new Promise((resolve) => (answered = resolve));
    },
    close: () => void socket?.destroy(),
  };
}

/** The answer when all of it is there. */
function readAnswer(text: string): FloodAnswer | undefined {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd === -1) return undefined;
  const head = text.slice(0, headEnd);
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
  if (text.length < headEnd + HEAD_END.length + length) return undefined;
  return { status: Number(head.slice(9, 12)), retryAfter: /\r\nretry-after: (\S+)/i.exec(head)?.[1] };
}
