// The real curl as a client: requests whose answers are read as it prints them, and event streams that can be cut.
import { spawn, spawnSync } from 'node:child_process';
import { forgetCleanup, registerCleanup } from './cleanup.js';
import type { StreamEvent } from './eventStream.js';
import { type Answer, eventually } from './system.js';

/** Seconds that a request may take, whatever it waits for. */
const LIMIT_S = 60;

/** Its version line; undefined where there is no curl. */
export function curlVersion(): string | undefined {
  const { status, stdout } = spawnSync('curl', ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0] : undefined;
}

/** Runs curl. @param parameters as on the command line @param body is sent as JSON */
export async function curl(parameters: string[], body?: unknown): Promise<Answer> {
  const data = body === undefined ? [] : ['-H', 'Content-Type: application/json', '--data-binary', '@-'];
  const child = spawn('curl', ['-sS', '-i', '--max-time', `${LIMIT_S}`, ...data, ...parameters]);
  // A curl that ends without having read it says why with its code.
  child.stdin.on('error', () => undefined);
  // Not even an empty text without a body: that is a write, and curl may have ended.
  child.stdin.end(body === undefined ? undefined : JSON.stringify(body));
  let said = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => (said += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk) => (errors += chunk));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`curl ${parameters.join(' ')} ended with ${code}: ${errors}`);
  return readAnswer(said);
}

function readAnswer(said: string): Answer {
  const end = said.indexOf('\r\n\r\n');
  const [first = '', ...lines] = said.slice(0, end).split('\r\n');
  const status = Number(first.split(' ')[1]);
  const rest = said.slice(end + 4);
  // An interim answer like 100 comes before the real one.
  if (status < 200) return readAnswer(rest);
  const headers = new Headers(
    lines.map((line): [string, string] => [line.split(':')[0] ?? '', line.replace(/^[^:]*:\s*/, '')]),
  );
  const isJson = /\bjson\b/.test((headers.get('content-type') ?? '').replace('x-ndjson', ''));
  return { status, headers, body: isJson ? JSON.parse(rest) : rest };
}

export interface CurlStream {
  events: StreamEvent[];
  /** How many events there were when it was cut: kill -9, so what curl held is lost as it is with a network. */
  cut(): Promise<void>;
  /** Until an event is what is looked for. */
  waitFor(isWanted: (event: StreamEvent) => boolean): Promise<StreamEvent>;
}

/** curl -N on an address that answers Server-Sent Events. */
export function openCurlStream(parameters: string[]): CurlStream {
  const child = spawn('curl', ['-sS', '-N', ...parameters], { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const events: StreamEvent[] = [];
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    const blocks = `${text}${chunk}`.split('\n\n');
    text = blocks.pop() ?? '';
    events.push(...blocks.flatMap(readEvent));
  });
  const stream: CurlStream = {
    events,
    async cut() {
      child.kill('SIGKILL');
      await closed;
      forgetCleanup(stream);
    },
    waitFor: (isWanted) => eventually(() => events.find(isWanted)),
  };
  registerCleanup(stream, stream.cut);
  return stream;
}

function readEvent(block: string): StreamEvent[] {
  const field = (name: string) => block.match(new RegExp(`^${name}:\\s?(.*)$`, 'm'))?.[1];
  const data = field('data');
  // A comment, or how long to wait before another try.
  if (data === undefined) return [];
  return [{ name: field('event') ?? 'message', id: field('id') ?? '', data: JSON.parse(data) }];
}
