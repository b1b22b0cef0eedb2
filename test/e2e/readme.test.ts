// The curl examples of README.md and docs/protocol.md, run in their order against what `npm start` starts, with the answers that stand below them. In an answer
// "..." matches anything, and a key "..." any further keys.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { plainEnvironment, testBackend } from '../support/environment.js';
import { createTestFolder } from '../support/folders.js';
import { startLauncher, waitForBanner } from '../support/launcher.js';
import { freePort } from '../support/ports.js';

const readDocument = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

interface Example {
  command: string;
  status: number;
  answer: unknown;
}

/** Each ```bash block that calls curl, with the ```jsonc block that follows it: its first line is `// <status>`. */
function readExamples(path: string): Example[] {
  const blocks = [...readDocument(path).matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    language,
    text,
  }));
  return blocks.flatMap(({ language, text }, index) => {
    if (language !== 'bash' || !text.startsWith('curl ')) return [];
    const next = blocks[index + 1];
    const [, status, json] = /^\/\/ (\d{3})\n(.*)$/s.exec(next?.text ?? '') ?? [];
    if (next?.language !== 'jsonc' || json === undefined) throw new Error(`No answer stands below ${text}`);
    return [{ command: text, status: Number(status), answer: JSON.parse(json) }];
  });
}

/** The arguments of a curl command, as a shell makes them; whether curl itself is installed does not matter. */
function argumentsOf(command: string): string[] {
  const script = `curl() { printf '%s\\0' "$@"; }\n${command}`;
  const output = execFileSync('/bin/sh', ['-euc', script], { encoding: 'utf8', env: plainEnvironment() });
  return output.split('\0').slice(0, -1);
}

/** What curl would send for the options that the examples use. */
function requestOf(command: string, port: number): Request {
  let address: string | undefined;
  let method: string | undefined;
  let body: string | undefined;
  const headers = new Headers({ connection: 'close' });
  const words = argumentsOf(command).values();
  const takeValue = (option: string): string => {
    const { value } = words.next();
    if (value === undefined) throw new Error(`${option} has no value in ${command}`);
    return value;
  };
  for (const word of words) {
    if (word === '-X') method = takeValue(word);
    else if (word === '-d') body = takeValue(word);
    else if (word === '-H') {
      const [name = '', ...value] = takeValue(word).split(':');
      headers.append(name, value.join(':').trim());
    } else if (word.startsWith('-') || address !== undefined) throw new Error(`What does ${word} mean in ${command}`);
    else address = word;
  }
  if (address?.startsWith('localhost:5000/') !== true) throw new Error(`No address of localhost:5000 in ${command}`);
  const url = `http://127.0.0.1:${port}${address.slice('localhost:5000'.length)}`;
  method ??= body === undefined ? 'GET' : 'POST';
  return new Request(url, { method, headers, ...(body === undefined ? {} : { body }) });
}

/** The answer with everything that the documented one leaves open replaced by how it is left open there. */
function maskLike(documented: unknown, actual: unknown): unknown {
  if (documented === '...') return actual === undefined ? undefined : '...';
  if (Array.isArray(documented) && Array.isArray(actual)) {
    return actual.map((each, index) => maskLike(documented[index], each));
  }
  if (!isRecord(documented) || !isRecord(actual)) return actual;
  const isOpen = '...' in documented;
  const names = Object.keys(actual).filter((name) => !isOpen || name in documented);
  const masked = Object.fromEntries(names.map((name) => [name, maskLike(documented[name], actual[name])]));
  return isOpen ? { ...masked, '...': '...' } : masked;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

for (const [path, count] of [
  ['README.md', 6],
  ['docs/protocol.md', 3],
] as const) {
  describe(`the curl examples of ${path}, queue on ${testBackend}`, () => {
    const examples = readExamples(path);
    let port: number;
    let stop: () => Promise<unknown>;

    before(async () => {
      const folder = createTestFolder('readme');
      port = await freePort();
      const launcher = startLauncher({ dataDir: folder.path, port, backend: testBackend });
      stop = async () => {
        await launcher.stop();
        await folder.remove();
      };
      await waitForBanner(launcher);
      await waitForWorker(port);
    });

    after(() => stop());

    it('are there', () => {
      expect(examples).to.have.length.at.least(count);
    });

    for (const { command, status, answer } of examples) {
      it(titleOf(command), async () => {
        const response = await fetch(requestOf(command, port));
        const actual: unknown = JSON.parse(await response.text());
        expect(maskLike(answer, actual)).to.deep.equal(answer);
        expect(response.status).to.equal(status);
      });
    }
  });
}

/** The banner waits for the API alone. */
async function waitForWorker(port: number): Promise<void> {
  for (const until = Date.now() + 20_000; Date.now() < until; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const response = await fetch(`http://127.0.0.1:${port}/health`, { headers: { connection: 'close' } });
    const { ok } = JSON.parse(await response.text());
    if (ok === true) return;
  }
  throw new Error('no worker came up');
}

/** A short name: the command's first line, without its options. */
function titleOf(command: string): string {
  const [line = ''] = command.split('\n');
  return line.replace(/ -H .*$/, '');
}
