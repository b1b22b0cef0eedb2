// The course of a scenario in which the address of the database leads to an earlier state of it while the processes stay up: what was written since is
// lost. Writers keep what is not acknowledged and send it again; followers keep a copy each by a stream. What is checked: nothing that was sent after
// the takeover is lost, every follower is told to bootstrap, and its copy then equals the table (I1, I6, I12).
import { setTimeout as sleep } from 'node:timers/promises';
import type { SentItem } from '../support/oracle.js';
import { createRandom } from '../support/oracle.js';
import { queryDatabase } from '../support/postgres.js';
import { type Client, createClient, NoAnswer } from './client.js';
import { type FeedTask, liveTasks } from './feedCopy.js';
import { pauseUntil } from './fleet.js';
import { type Follower, startFollower } from './follower.js';
import { CheckFailed, endStack, RECOVERY_LIMIT_MS } from './phases.js';
import type { ScenarioContext } from './scenario.js';
import type { Stack } from './stack.js';

const POLL_MS = 50;
const REQUEST_LIMIT_MS = 15_000;
const RETRY_MS = 200;
/** Seqs that the takeover loses, at least and at most. */
const LOST = { from: 10, to: 30 };
const FOLLOWERS = 4;
/** A look of the process every 2 s, on a busy machine. */
const TOLD_LIMIT_MS = 15_000;

export interface Takeover {
  stack: Stack;
  /** From now on what is written will be lost. */
  fallBehind(): Promise<void>;
  /** The address leads to the earlier state. @returns that database itself */
  takeOver(): Promise<string>;
}

/** Runs it, and ends the stack. @throws CheckFailed */
export async function runTakeover(context: ScenarioContext, takeover: Takeover): Promise<void> {
  const { stack, fallBehind, takeOver } = takeover;
  const { options, signal, measures } = context;
  const found: string[] = [];
  const violate = (what: string) => void found.push(what);
  const urls = stack.apis().map((api) => api.url);
  const urlOf = (index: number) => urls[index % urls.length] ?? '';
  const followers = Array.from({ length: FOLLOWERS }, (_, index) =>
    startFollower(`follower-${index}`, urlOf(index), violate),
  );
  const writers = Array.from({ length: options.devices }, (_, index) =>
    startWriter(context, index, urlOf(index), violate),
  );
  try {
    await pauseUntil(Date.now() + options.durationMs * 0.3, signal);
    await fallBehind();
    await loseSome(context, stack.databaseUrl, followers);
    const told = followers.map((follower) => follower.bootstraps());
    const databaseUrl = await takeOver();
    stack.databaseUrl = databaseUrl;
    const tookOverAt = Date.now();
    context.countFault('takeover');
    const isTold = () => followers.every((follower, index) => follower.bootstraps() > (told[index] ?? 0));
    while (!isTold() && Date.now() < tookOverAt + TOLD_LIMIT_MS) await sleep(POLL_MS);
    if (!isTold()) violate(`not every follower was told to bootstrap within ${TOLD_LIMIT_MS} ms`);
    measures.notes['told after ms'] = Date.now() - tookOverAt;
    await pauseUntil(Date.now() + options.durationMs * 0.4, signal);
    await Promise.all(writers.map((writer) => writer.stop()));
    measures.recoveryMs = await settle(databaseUrl, violate);
    const sent = writers.flatMap((writer) => writer.sent);
    measures.operations = sent.length;
    measures.acknowledged = sent.length;
    measures.notes['told by resync'] = followers.filter((follower) => follower.restored() > 0).length;
    await checkSent(databaseUrl, sent, tookOverAt, violate);
    await checkCopies(databaseUrl, followers, urls, violate);
    await checkHealth(stack, violate);
  } finally {
    await Promise.all(writers.map((writer) => writer.stop()));
    await Promise.all(followers.map((follower) => follower.close()));
  }
  found.push(...(await endStack(stack, measures.notes)));
  if (found.length > 0) throw new CheckFailed(found.slice(0, 20));
}

interface Sent {
  item: SentItem;
  invokedAt: number;
}

/** A device that creates tasks and changes those that it made before; it sends each batch until it is acknowledged. */
function startWriter(context: ScenarioContext, index: number, url: string, violate: (what: string) => void) {
  const random = createRandom(context.seed * 1_009 + index);
  const client: Client = createClient(REQUEST_LIMIT_MS);
  const pauseMs = (context.options.durationMs * context.options.devices) / context.options.operations;
  const sent: Sent[] = [];
  let isStopping = false;
  let count = 0;

  function makeItem(): SentItem {
    count += 1;
    const isNew = sent.length === 0 || random() < 0.6;
    const old = sent[Math.floor(random() * sent.length)]?.item.data.id ?? '';
    const op = { client_id: `writer-${index}`, op_id: `w${index}-${count}` };
    const updated_at = new Date().toISOString();
    return isNew
      ? { ...op, operation: 'create', data: { id: `task-${index}-${count}`, title: `made by ${op.op_id}`, updated_at } }
      : { ...op, operation: 'update', data: { id: old, title: `changed by ${op.op_id}`, updated_at } };
  }

  async function send(items: SentItem[]) {
    for (;;) {
      const invokedAt = Date.now();
      const status = await client.send('POST', `${url}/api/sync/batch`, { items }, { prefer: 'wait=5' }).then(
        (answer) => answer.status,
        (error: unknown) => {
          if (error instanceof NoAnswer) return 503;
          throw error;
        },
      );
      if (status === 200 || status === 202) return void sent.push(...items.map((item) => ({ item, invokedAt })));
      if (status < 500 && status !== 429) return violate(`writer-${index} was answered ${status}`);
      await sleep(RETRY_MS);
    }
  }

  const ended = (async () => {
    while (!isStopping) {
      const items = Array.from({ length: 1 + Math.floor(random() * 3) }, makeItem);
      await send(items);
      await sleep(pauseMs * items.length * (0.5 + random()));
    }
  })();
  return {
    sent: sent as readonly Sent[],
    async stop() {
      isStopping = true;
      await ended;
      client.close();
    },
  };
}

const readSeq = async (databaseUrl: string) =>
  (await queryDatabase<{ seq: number }>(databaseUrl, 'SELECT seq::float8 FROM workspaces'))[0]?.seq ?? 0;

/** Waits until as much is written as shall be lost, and the followers have seen it. */
async function loseSome(context: ScenarioContext, databaseUrl: string, followers: readonly Follower[]) {
  const from = await readSeq(databaseUrl);
  const wanted = from + LOST.from + Math.floor(context.random() * (LOST.to - LOST.from));
  const until = Date.now() + RECOVERY_LIMIT_MS;
  const isSeen = () => followers.every((follower) => follower.seq() >= wanted);
  while (!isSeen() && Date.now() < until) await sleep(POLL_MS);
  if (!isSeen()) throw new Error('the followers do not see what shall be lost');
  context.measures.notes['lost seqs'] = wanted - from;
}

/** @returns how long it took until nothing was pending */
async function settle(databaseUrl: string, violate: (what: string) => void): Promise<number> {
  const startedAt = Date.now();
  for (;;) {
    const [row] = await queryDatabase<{ count: number }>(
      databaseUrl,
      "SELECT count(*)::float8 AS count FROM sync_queue WHERE status = 'pending'",
    );
    const tookMs = Date.now() - startedAt;
    if (row?.count === 0) return tookMs;
    if (tookMs > RECOVERY_LIMIT_MS) violate(`${row?.count} operations are pending`);
    if (tookMs > RECOVERY_LIMIT_MS) return tookMs;
    await sleep(POLL_MS);
  }
}

/** What was sent after the takeover, and acknowledged, is there and settled. */
async function checkSent(databaseUrl: string, sent: Sent[], since: number, violate: (what: string) => void) {
  const log = await queryDatabase<{ opId: string; status: string }>(
    databaseUrl,
    'SELECT op_id AS "opId", status FROM sync_queue',
  );
  const states = new Map(log.map(({ opId, status }) => [opId, status]));
  for (const { item, invokedAt } of sent) {
    if (invokedAt < since) continue;
    const status = states.get(item.op_id);
    if (status !== 'synced')
      violate(`${item.op_id} was acknowledged after the takeover and is ${status ?? 'not stored'}`);
  }
}

async function checkCopies(
  databaseUrl: string,
  followers: readonly Follower[],
  urls: readonly string[],
  violate: (what: string) => void,
) {
  const rows = await queryDatabase<FeedTask>(
    databaseUrl,
    'SELECT id, title, description, completed, deleted, seq::float8 FROM tasks',
  );
  const wanted = JSON.stringify(liveTasks(rows));
  const seq = await readSeq(databaseUrl);
  const until = Date.now() + TOLD_LIMIT_MS;
  while (followers.some((follower) => follower.seq() < seq) && Date.now() < until) await sleep(POLL_MS);
  for (const [index, follower] of followers.entries()) {
    if (JSON.stringify(follower.live()) !== wanted) {
      violate(`the copy of follower-${index} has ${follower.live().length} tasks, the table ${rows.length}, or others`);
    }
  }
  for (const url of urls) {
    const fresh = startFollower('a new device', url, violate);
    while (fresh.bootstraps() === 0) await sleep(POLL_MS);
    if (JSON.stringify(fresh.live()) !== wanted) violate(`a bootstrap from ${url} differs from the table`);
    await fresh.close();
  }
}

/** All processes are on one queue again. */
async function checkHealth(stack: Stack, violate: (what: string) => void) {
  const client = createClient(REQUEST_LIMIT_MS);
  const workers = stack.workers().length;
  for (const { url } of stack.apis()) {
    let health = { status: '', workers: -1 };
    for (const until = Date.now() + TOLD_LIMIT_MS; Date.now() < until; await sleep(POLL_MS)) {
      health = (await client.send('GET', `${url}/health`)).body;
      if (health.status === 'ok' && health.workers === workers) break;
    }
    if (health.status !== 'ok' || health.workers !== workers) violate(`/health says ${JSON.stringify(health)}`);
  }
  client.close();
}
