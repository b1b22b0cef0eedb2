// Reading everything, over and over, by one or several clients. Rows are counted in the bytes as they arrive: parsing them is the client's
// business, and on few cores it would be taken from what is measured.
import { spawn } from 'node:child_process';
import { Client } from 'undici';
import { COPY_TASKS } from './copyTasks.js';
import { deltaRequest } from './delta.js';
import type { Job, JobResult, Pull, Window } from './jobs.js';

/** What a client asks for at once where it asks page by page: far from both ends of what the servers allow. */
const PAGE = 1_000;
/** Of an answer, what stands behind its rows. */
const TAIL_BYTES = 400;

interface Counter {
  rows: number;
  bytes: number;
}

/** Reads everything once, counting what arrives until `signal` aborts. */
type ReadAll = (counter: Counter, signal: AbortSignal) => Promise<void>;

export async function runPull(job: Extract<Job, { kind: 'pull' }>, window: Window): Promise<JobResult> {
  const { pull, clients, warmUpMs, measureMs } = job;
  const counter: Counter = { rows: 0, bytes: 0 };
  const ending = new AbortController();
  let complete = 0;
  const drive = async () => {
    const read = await openReader(pull);
    while (!ending.signal.aborted) {
      await read(counter, ending.signal);
      if (!ending.signal.aborted) complete += 1;
    }
  };
  const driving = Promise.all(Array.from({ length: clients }, drive));
  // A fault ends the wait; an end by our own signal is none.
  const wait = (ms: number) => Promise.race([new Promise((resolve) => setTimeout(resolve, ms)), driving]);
  await wait(warmUpMs);
  window.begin();
  const before = { ...counter };
  const startedAt = performance.now();
  await wait(measureMs);
  const seconds = (performance.now() - startedAt) / 1_000;
  const rows = counter.rows - before.rows;
  const bytes = counter.bytes - before.bytes;
  window.end();
  ending.abort();
  await driving;
  if (rows === 0) throw new Error('no rows arrived');
  return { rows, rowsPerS: rows / seconds, megabytesPerS: bytes / seconds / 1e6, complete, operations: rows };
}

async function openReader(pull: Pull): Promise<ReadAll> {
  if (pull.protocol === 'copy') return (counter, signal) => copy(pull.psql, pull.databaseUrl, counter, signal);
  const client = new Client(pull.url, { bodyTimeout: 120_000, headersTimeout: 120_000 });
  const read = createHttpReader(
    client,
    pull.protocol,
    pull.protocol === 'delta' ? await deltaRequest(client) : undefined,
  );
  return async (counter, signal) => {
    try {
      await read(counter, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };
}

function createHttpReader(
  client: Client,
  protocol: Exclude<Pull['protocol'], 'copy'>,
  deltaPath: string | undefined,
): ReadAll {
  const get = (path: string, marker: string, counter: Counter, signal: AbortSignal, accept = 'application/json') =>
    readAnswer(client, path, { marker, accept }, counter, signal);
  switch (protocol) {
    case 'lines':
      // The last line is the cursor.
      return async (counter, signal) => {
        await get('/api/sync/changes', '\n', counter, signal, 'application/x-ndjson');
        if (!signal.aborted) counter.rows -= 1;
      };
    case 'delta':
      return async (counter, signal) => void (await get(deltaPath ?? '', '"server_id"', counter, signal));
    case 'pages':
      return walk(
        (tail) => {
          const cursor = /"cursor":"([^"]+)","has_more":true/.exec(tail)?.[1];
          return cursor === undefined ? undefined : `&cursor=${cursor}`;
        },
        (next) => (counter, signal) => get(`/api/sync/changes?limit=${PAGE}${next}`, '"server_id"', counter, signal),
      );
    case 'pouchdb':
      return walk(
        (tail, rows) => {
          const seq = /"last_seq":(\d+)/.exec(tail)?.[1];
          return seq === undefined || rows < PAGE ? undefined : `&since=${seq}`;
        },
        (next) => (counter, signal) =>
          get(`/tasks/_changes?include_docs=true&limit=${PAGE}${next}`, '"doc":', counter, signal),
      );
    case 'rxdb':
      return walk(
        (tail, rows) => {
          const [, id, lwt] = /"checkpoint":\{"id":"([^"]*)","lwt":([\d.]+)/.exec(tail) ?? [];
          return id === undefined || rows < PAGE ? undefined : `&id=${id}&lwt=${lwt}`;
        },
        (next) => (counter, signal) => get(`/tasks/0/pull?limit=${PAGE}${next}`, '"updated_at"', counter, signal),
      );
    default:
      throw new Error(`no such protocol: ${protocol satisfies never}`);
  }
}

/** Page by page: the end of each answer says how to ask for the next one. */
function walk(
  nextOf: (tail: string, rows: number) => string | undefined,
  page: (next: string) => (counter: Counter, signal: AbortSignal) => Promise<{ tail: string; rows: number }>,
): ReadAll {
  return async (counter, signal) => {
    for (let next: string | undefined = ''; next !== undefined && !signal.aborted; ) {
      const { tail, rows } = await page(next)(counter, signal);
      next = nextOf(tail, rows);
    }
  };
}

async function readAnswer(
  client: Client,
  path: string,
  { marker, accept }: { marker: string; accept: string },
  counter: Counter,
  signal: AbortSignal,
) {
  const answer = await client.request({ method: 'GET', path, headers: { accept }, signal });
  const count = createMarkerCount(marker);
  const before = counter.rows;
  let tail = Buffer.alloc(0);
  for await (const chunk of answer.body) {
    counter.rows += count(chunk);
    counter.bytes += chunk.length;
    tail = Buffer.concat([tail.subarray(-TAIL_BYTES), chunk.subarray(-TAIL_BYTES)]);
  }
  if (answer.statusCode !== 200) throw new Error(`GET ${path} was answered ${answer.statusCode}: ${tail}`);
  return { tail: tail.toString(), rows: counter.rows - before };
}

/** Counts a marker in chunks; one that lies across two of them counts with the second. */
export function createMarkerCount(marker: string): (chunk: Buffer) => number {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const seam =
      marker.length === 1 || rest.length === 0
        ? Buffer.alloc(0)
        : Buffer.concat([rest, chunk.subarray(0, marker.length - 1)]);
    const found = countIn(seam, marker) + countIn(chunk, marker);
    rest = marker.length === 1 ? rest : Buffer.concat([rest, chunk]).subarray(-(marker.length - 1));
    return found;
  };
}

function countIn(chunk: Buffer, marker: string): number {
  let count = 0;
  for (let at = chunk.indexOf(marker); at >= 0; at = chunk.indexOf(marker, at + marker.length)) count += 1;
  return count;
}

function copy(psql: string, databaseUrl: string, counter: Counter, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(psql, ['--no-psqlrc', '--quiet', '--dbname', databaseUrl, '--command', COPY_TASKS], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const count = createMarkerCount('\n');
    child.stdout.on('data', (chunk: Buffer) => {
      counter.rows += count(chunk);
      counter.bytes += chunk.length;
    });
    const end = () => void child.kill('SIGKILL');
    signal.addEventListener('abort', end, { once: true });
    child.once('error', reject);
    child.once('close', (code) => {
      signal.removeEventListener('abort', end);
      if (code === 0 || signal.aborted) resolve();
      else reject(new Error(`psql ended with exit code ${code}`));
    });
  });
}
