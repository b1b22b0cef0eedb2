// Reading everything, over and over, by one or several clients. Rows are counted in the bytes as they arrive: parsing them is the client's
// business, and on few cores it would be taken from what is measured.
import { Client } from 'undici';
import { copyTasks } from './copyTasks.js';
import { deltaRequest } from './delta.js';
import type { Job, JobResult, Pull, Window } from './jobs.js';
import { createMarkerCount } from './markerCount.js';

/** What a client asks for at once where it asks page by page: far from both ends of what the servers allow. */
const PAGE = 1_000;
/** Of an answer, what stands behind its rows. */
const TAIL_BYTES = 400;

export interface Counter {
  rows: number;
  bytes: number;
}

/** Reads everything once, counting what arrives until `signal` aborts. */
type ReadAll = (counter: Counter, signal: AbortSignal) => Promise<void>;

interface Reader {
  readAll: ReadAll;
  close(): Promise<void>;
}

/** @throws an Error with the first fault, or when nothing arrived */
export async function runPull(job: Extract<Job, { kind: 'pull' }>, window: Window): Promise<JobResult> {
  const readers = await Promise.all(Array.from({ length: job.clients }, () => openReader(job.pull)));
  const counter: Counter = { rows: 0, bytes: 0 };
  const ending = new AbortController();
  const driving = Promise.all(readers.map((reader) => readOverAndOver(reader, counter, ending.signal)));
  try {
    // A fault ends the wait.
    const wait = (ms: number) => Promise.race([new Promise((resolve) => setTimeout(resolve, ms)), driving]);
    await wait(job.warmUpMs);
    window.begin();
    const before = { ...counter };
    const startedAt = performance.now();
    await wait(job.measureMs);
    const seconds = (performance.now() - startedAt) / 1_000;
    const rows = counter.rows - before.rows;
    const bytes = counter.bytes - before.bytes;
    window.end();
    if (rows === 0) throw new Error('no rows arrived');
    return { rows, rowsPerS: rows / seconds, megabytesPerS: bytes / seconds / 1e6, operations: rows };
  } finally {
    ending.abort();
    await driving.catch(() => undefined);
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

/** What the end of the measurement cuts off is no fault. */
async function readOverAndOver({ readAll }: Reader, counter: Counter, signal: AbortSignal) {
  while (!signal.aborted) {
    try {
      await readAll(counter, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

async function openReader(pull: Pull): Promise<Reader> {
  if (pull.protocol === 'copy') {
    const { psql, databaseUrl } = pull;
    return {
      readAll: (counter, signal) => copyTasks(psql, databaseUrl, counter, signal),
      close: async () => undefined,
    };
  }
  const client = new Client(pull.url, { bodyTimeout: 120_000, headersTimeout: 120_000 });
  const deltaPath = pull.protocol === 'delta' ? await deltaRequest(client) : undefined;
  return { readAll: createHttpReader(client, pull.protocol, deltaPath), close: () => client.destroy() };
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
