// A device as docs/protocol.md tells to write one: an outbox sent in order, one request at a time, resent with the same op_ids until it is
// answered, waiting as Retry-After says, and a copy of the tasks kept by the feed.
import type { SentItem } from '../support/oracle.js';
import { type Answer, type Client, createClient, NoAnswer } from './client.js';
import { createEditor } from './edits.js';
import { createFeedCopy } from './feedCopy.js';
import type { Expectation, History, RecordedOperation, TryResult } from './history.js';
import type { Targets } from './targets.js';

export interface DeviceOptions {
  name: string;
  random: () => number;
  targets: Targets;
  history: History;
  sharedTasks: number;
  /** How far the device's clock is ahead, in ms. */
  skewMs: number;
  /** Whether it says its clock when it sends. */
  tellsClock: boolean;
  /** How often, of requests without an answer, the device forgets what was in it, as if the app was removed. */
  abandonRate: number;
  requestTimeoutMs: number;
  /** Turns some edits into others, with what is to become of them. */
  spoil?: (item: SentItem, random: () => number) => { item: SentItem; expectation: Expectation } | undefined;
  onAccepted: (tookMs: number) => void;
  /** A request was sent and not answered. */
  onLost: (what: string) => void;
  onAnswer: (answer: { status: number; at: number; tookMs: number; retryAfter: string | undefined }) => void;
}

const ITEMS_MAX = 200;
/** What a Location is relative to; whichever api is asked then. */
const BATCH_ADDRESS = 'http://api/api/sync/batch';
const FINAL = ['success', 'conflict', 'exists', 'not_found', 'error'];
/** The protocol's advice ends at 60 s; here a device that came late would hide how fast the server recovered. */
const BACKOFF_CAP_MS = 4_000;

export type ChaosDevice = ReturnType<typeof createDevice>;

export function createDevice(options: DeviceOptions) {
  const { name, random, targets, history, skewMs } = options;
  const client: Client = createClient(options.requestTimeoutMs);
  const edit = createEditor(options);
  const copy = createFeedCopy((what) => history.violate(`${name}: ${what}`));
  const mine: RecordedOperation[] = [];
  let outbox: RecordedOperation[] = [];
  const seen = new Set<string>();
  let failures = 0;
  let notBefore = 0;
  let heldUntil = 0;
  let location: string | undefined;
  const upTo = (limit: number) => Math.floor(random() * limit);
  const isOpen = (operation: RecordedOperation) => operation.status === undefined && !operation.isAbandoned;

  function makeEdit() {
    const item = edit((id) => seen.has(id) || copy.has(id));
    const spoilt = options.spoil?.(item, random) ?? { item, expectation: 'settled' as const };
    addEdit(spoilt.item, spoilt.expectation);
  }

  function addEdit(item: SentItem, expectation: Expectation) {
    const operation = history.make(item, expectation);
    seen.add(item.data.id);
    mine.push(operation);
    outbox.push(operation);
  }

  /** Something went wrong: wait as the server says, else a random time up to 1, 2, 4 ... seconds. */
  function backOff(retryAfter: string | undefined) {
    failures += 1;
    const seconds = Number(retryAfter);
    const waitMs = Number.isFinite(seconds) && retryAfter !== undefined ? seconds * 1_000 * (1 + random() / 4) : 0;
    const backoffMs = random() * Math.min(BACKOFF_CAP_MS, 1_000 * 2 ** Math.min(failures - 1, 6));
    notBefore = Date.now() + (retryAfter === undefined ? backoffMs : waitMs);
  }

  function take(sent: readonly RecordedOperation[], answer: Answer) {
    const entries = answer.body?.processed_items;
    if (!Array.isArray(entries) || entries.length !== sent.length) {
      history.violate(`${name}: ${answer.status} with ${entries?.length} entries for ${sent.length} items`);
      return;
    }
    for (const [index, operation] of sent.entries()) settle(operation, entries[index]);
    if (answer.status === 200 && sent.some((operation) => operation.status === undefined)) {
      history.violate(`${name}: 200 although an operation is pending`);
    }
    outbox = outbox.filter(isOpen);
  }

  function settle(operation: RecordedOperation, entry: Record<string, unknown>) {
    const { op_id: opId } = operation.item;
    const status = String(entry.status);
    if (entry.op_id !== opId) history.violate(`${name}: the entry of ${opId} is about ${String(entry.op_id)}`);
    const told = operation.status;
    if (status === 'pending') {
      if (told !== undefined) history.violate(`${name}: ${opId} was ${told} and is pending`);
    } else if (!FINAL.includes(status)) history.violate(`${name}: ${opId} has the status ${status}`);
    else if (told !== undefined && told !== status) history.violate(`${name}: ${opId} was ${told}, then ${status}`);
    const isInvalid = status === 'error' && entry.field !== undefined;
    if (isInvalid !== (operation.expectation === 'invalid')) {
      history.violate(`${name}: ${opId} was answered ${status} for ${String(entry.field)}: ${String(entry.message)}`);
    }
    history.tell(operation, status);
  }

  async function attempt(what: string, sent: readonly RecordedOperation[], send: (url: string) => Promise<Answer>) {
    const url = targets.pick(random);
    const end = targets.begin(url);
    const finish = (result: TryResult, detail: string) => history.finish(sent, result, `${what}: ${detail}`);
    try {
      const answer = await send(url);
      const { status, tookMs } = answer;
      const retryAfter = answer.headers['retry-after'];
      options.onAnswer({ status, at: Date.now(), tookMs, retryAfter });
      if (status === 200 || status === 202 || status === 410) {
        failures = 0;
        finish('ok', String(status));
        return answer;
      }
      if (status >= 500 || status === 429) backOff(retryAfter);
      else history.violate(`${name}: ${what} was answered ${status}: ${JSON.stringify(answer.body)?.slice(0, 300)}`);
      finish(status >= 500 ? 'unknown' : 'failed', String(status));
      return { failed: status >= 500 ? 'unknown' : 'failed' } as const;
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      if (error.isSent) options.onLost(`${what} to ${url}: ${error.message}`);
      backOff(undefined);
      finish(error.isSent ? 'unknown' : 'failed', error.message);
      return { failed: error.isSent ? 'unknown' : 'failed' } as const;
    } finally {
      end();
    }
  }

  /** Sends the oldest operations that nobody has acknowledged, now and then with some that were answered. */
  async function push(count: number, prefer: string, withPending: boolean) {
    const open = outbox.filter((operation) => withPending || operation.acknowledgedAtMs === undefined);
    const repeated = random() < 0.1 ? mine.filter((each) => each.status !== undefined).slice(-1 - upTo(5)) : [];
    const sent = [...new Set([...repeated, ...open.slice(0, count)])];
    if (open.length === 0) return;
    history.invoke(sent, name);
    const clock = options.tellsClock ? { client_timestamp: new Date(Date.now() + skewMs).toISOString() } : {};
    const body = { ...clock, items: sent.map(({ item }) => item) };
    const answer = await attempt('push', sent, (url) => client.send('POST', `${url}/api/sync/batch`, body, { prefer }));
    if ('failed' in answer) {
      if (answer.failed === 'unknown' && random() < options.abandonRate) abandon(sent);
      return;
    }
    if (prefer === 'respond-async') options.onAccepted(answer.tookMs);
    take(sent, answer);
    if (answer.status === 202) {
      const { location: relative } = answer.headers;
      location = relative === undefined ? undefined : new URL(relative, BATCH_ADDRESS).pathname;
      polled = sent;
    }
  }

  let polled: RecordedOperation[] = [];

  /** Asks what became of the batch that was answered 202 last. */
  async function poll() {
    const path = location;
    if (path === undefined) return;
    const sent = polled;
    const answer = await attempt('poll', sent, (url) => client.send('GET', `${url}${path}`));
    if ('failed' in answer) return;
    take(sent, answer);
    if (answer.status === 200) location = undefined;
  }

  function abandon(sent: readonly RecordedOperation[]) {
    const dropped = sent.filter((operation) => operation.acknowledgedAtMs === undefined);
    history.abandon(dropped);
    outbox = outbox.filter(isOpen);
  }

  async function pullPage(limit: number): Promise<boolean> {
    const answer = await attempt('pull', [], (url) => client.send('GET', `${url}${copy.path(limit)}`));
    return 'failed' in answer ? false : copy.take(answer);
  }

  let pulling: Promise<unknown> = Promise.resolve();

  /** One after the other, whoever asks: two pages that begin at the same cursor would show the same changes twice. */
  function pull(limit: number): Promise<boolean> {
    const page = pulling.then(() => pullPage(limit));
    pulling = page.catch(() => undefined);
    return page;
  }

  return {
    name,
    copy,
    outboxSize: () => outbox.length,
    /** When it may send again, in ms since 1970. */
    notBefore: () => Math.max(notBefore, heldUntil),
    /** It has no network until then. */
    holdUntil(at: number) {
      heldUntil = at;
    },
    /** An edit that somebody else has thought of. */
    take: addEdit,
    makeEdits(count: number) {
      for (let made = 0; made < count; made += 1) makeEdit();
    },
    /** What a device does while it is online. */
    async exchange() {
      if (random() < 0.6) await poll();
      const prefer = random() < 0.5 ? 'respond-async' : random() < 0.5 ? 'wait=2' : 'wait=1';
      if (Date.now() >= notBefore) await push(1 + upTo(ITEMS_MAX), prefer, random() < 0.2);
      if (Date.now() >= notBefore && random() < 0.3) await pull(1 + upTo(300));
    },
    /** Sends what is left and waits for it. */
    flush: () => push(ITEMS_MAX, 'wait=5', true),
    /** Reads the feed on. @returns whether its end is reached */
    async pullToEnd(): Promise<boolean> {
      const before = failures;
      while (await pull(500));
      return failures === before || failures === 0;
    },
    close: () => client.close(),
  };
}
