// What a demo may write to: an empty server, or one whose owner agrees. And taking away what demos left: a run's ids can be computed anew from
// the client_ids that it left, so nobody else's task is ever touched.
import { createInterface } from 'node:readline/promises';
import { v4, v5 } from 'uuid';
import { idSpaceOf, tagOf } from './prepareRun.js';
import type { RecordedItem, Recording } from './recording.js';
import { DemoProblem, readJson, request, sendBatch } from './sendBatch.js';

const PAGE = 500;
const DELETES_A_BATCH = 100;

interface ListedTask {
  id: string;
  updated_by: string;
}

export interface Dialogue {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  output: NodeJS.WritableStream & { isTTY?: boolean };
}

/**
 * Lets a demo go on where its server is empty or somebody agrees; asks where somebody can answer.
 * @throws DemoProblem otherwise
 */
export async function askToWrite(baseUrl: string, isAgreed: boolean, { input, output }: Dialogue): Promise<void> {
  if (isAgreed || (await isEmpty(baseUrl))) return;
  const found = `The server at ${baseUrl} holds tasks already; the demo adds about a hundred to them.`;
  const ways =
    '`npm run demo -- --yes` does it all the same, `npm run demo -- --clean` removes what earlier demos made, `-- --url http://host:port` goes elsewhere.';
  if (!input.isTTY || !output.isTTY) throw new DemoProblem(`${found} Nothing was written. ${ways}`);
  const terminal = createInterface({ input, output });
  const answer = await terminal.question(`${found} Go on? [y/N] `);
  terminal.close();
  if (!/^\s*y(es)?\s*$/i.test(answer)) throw new DemoProblem(`Nothing was written. ${ways}`);
}

/** Deletes the tasks of earlier demos that nobody else has changed since. @returns how many it deleted, and how many it left to others */
export async function cleanUp(baseUrl: string, recording: Recording): Promise<{ deleted: number; kept: number }> {
  const tasks = await listTasks(baseUrl);
  const tags = new Set(tasks.flatMap(({ updated_by }) => tagOf(updated_by) ?? []));
  const recorded = new Set(recording.batches.flatMap(({ request: { items } }) => items.map(({ data }) => data.id)));
  const made = new Set([...tags].flatMap((tag) => [...recorded].map((id) => v5(id, idSpaceOf(tag)))));
  const ofDemos = tasks.filter(({ id }) => made.has(id));
  const own = ofDemos.filter(({ updated_by }) => tagOf(updated_by) !== undefined);
  for (let first = 0; first < own.length; first += DELETES_A_BATCH) {
    const now = new Date().toISOString();
    const items = own.slice(first, first + DELETES_A_BATCH).map(
      ({ id }): RecordedItem => ({
        client_id: 'demo-clean',
        op_id: v4(),
        operation: 'delete',
        data: { id, updated_at: now },
      }),
    );
    await sendBatch(baseUrl, { client_timestamp: now, items });
  }
  return { deleted: own.length, kept: ofDemos.length - own.length };
}

async function isEmpty(baseUrl: string): Promise<boolean> {
  const tasks = await readJson(await request(new URL('/api/tasks?limit=1', baseUrl), {}));
  return Array.isArray(tasks) && tasks.length === 0;
}

/** All tasks that are alive. */
async function listTasks(baseUrl: string): Promise<ListedTask[]> {
  const tasks: ListedTask[] = [];
  let cursor: string | undefined;
  for (;;) {
    const url = new URL(`/api/sync/changes?limit=${PAGE}`, baseUrl);
    if (cursor !== undefined) url.searchParams.set('cursor', cursor);
    const page = await readJson(await request(url, {}));
    if (!isPage(page)) throw new DemoProblem(`What ${url.origin} answers is not a page of changes. Is it Task Sync?`);
    tasks.push(...page.changes);
    if (!page.has_more) return tasks;
    cursor = page.cursor;
  }
}

function isPage(page: unknown): page is { changes: ListedTask[]; cursor: string; has_more: boolean } {
  return (
    typeof page === 'object' && page !== null && 'changes' in page && Array.isArray(page.changes) && 'cursor' in page
  );
}
