// A device as docs/protocol.md tells to write one: a store of the server's tasks, an outbox of its own edits on top of it, and a cursor.
// Its network is bad: answers are lost, requests are cut off, and it sends again, split and mixed as it likes.
import { expect } from 'chai';
import { fromMicros } from '../../src/sync/timestamp.js';
import { followReference } from './contract.js';
import { applyEdit, type Edit, type LocalTask, pickOperation } from './edits.js';

interface Entry {
  op_id: string;
  status: string;
  resolved_data: LocalTask | null;
  duplicate?: boolean;
}

export interface DeviceOptions {
  name: string;
  /** The api processes; each request goes to one of them. */
  urls: readonly string[];
  random: () => number;
  /** Tasks that all devices edit. */
  sharedIds: readonly string[];
}

const FINAL = ['success', 'conflict', 'exists', 'not_found'];
const OWN_TASKS = 8;
const HOUR_MS = 3_600_000;

export type Device = ReturnType<typeof createDevice>;

export function createDevice({ name, urls, random, sharedIds }: DeviceOptions) {
  /** Tasks as the server gave them last, tombstones included. */
  const store = new Map<string, LocalTask>();
  const outbox: Edit[] = [];
  const edits: Edit[] = [];
  /** Final answers by op_id. */
  const answers = new Map<string, string>();
  let cursor: string | undefined;
  /** Highest seq that the feed has brought. */
  let feedSeq = 0;
  /** What the bootstrap has listed, until it is at its end. */
  let listed: Set<string> | undefined = new Set();
  let lastEditMicros = 0n;
  const skewMs = Math.floor((random() - 0.5) * 4 * HOUR_MS);
  const upTo = (limit: number) => Math.floor(random() * limit);
  const pick = <Value>(values: readonly Value[]): Value => {
    const value = values[upTo(values.length)];
    if (value === undefined) throw new Error('nothing to pick from');
    return value;
  };

  /** What the user sees: the edits of the outbox over the server's task. */
  function view(id: string): LocalTask | undefined {
    return outbox.filter((edit) => edit.data.id === id).reduce(applyEdit, store.get(id));
  }

  /** The user edits some task at this instant, read from the device's own clock. */
  function edit(atMs: number) {
    const micros = BigInt(atMs + skewMs) * 1_000n;
    lastEditMicros = micros > lastEditMicros ? micros : lastEditMicros + 1n;
    const id = random() < 0.65 ? pick(sharedIds) : `${name}-${upTo(OWN_TASKS)}`;
    const operation = pickOperation(view(id), random());
    const number = edits.length;
    const isCreate = operation === 'create';
    const fields = {
      ...(isCreate || random() < 0.5 ? { title: `${name} ${number}` } : {}),
      ...(random() < 0.4 ? { description: pick([null, `About ${number}`]) } : {}),
      ...(random() < 0.4 ? { completed: random() < 0.5 } : {}),
    };
    const data = { id, ...(operation === 'delete' ? {} : fields), updated_at: fromMicros(lastEditMicros) };
    const made: Edit = { client_id: name, op_id: `${name}-op-${number}`, operation, data };
    edits.push(made);
    outbox.push(made);
  }

  /** A task from the server: the higher seq is the later state, and one seq is one state. */
  function take({ id, title, description, completed, deleted, seq }: LocalTask) {
    const task = { id, title, description, completed, deleted, seq };
    const known = store.get(id);
    if (known?.seq === seq) expect(task).to.deep.equal(known);
    if (known === undefined || known.seq < seq) store.set(id, task);
  }

  function settle(edit: Edit, entry: Entry, wasAnswered: boolean) {
    expect(entry.op_id).to.equal(edit.op_id);
    const first = answers.get(edit.op_id);
    if (entry.status === 'pending') {
      expect(first).to.equal(undefined);
      return;
    }
    expect(entry.status).to.be.oneOf(FINAL);
    if (first === undefined) {
      answers.set(edit.op_id, entry.status);
      outbox.splice(outbox.indexOf(edit), 1);
    } else expect(entry.status).to.equal(first);
    if (wasAnswered) expect(entry.duplicate).to.equal(true);
    if (entry.resolved_data !== null) take(entry.resolved_data);
  }

  /** Sends the oldest edits of the outbox, now and then with some that were answered before, or one twice. */
  async function push(count: number, prefer: string, loss: 'none' | 'ignored' | 'aborted' = 'none') {
    const repeated = random() < 0.3 ? edits.filter((each) => answers.has(each.op_id)).slice(-1 - upTo(5)) : [];
    const items = [...repeated, ...outbox.slice(0, count)];
    const [first] = items;
    if (first === undefined) return;
    if (random() < 0.1) items.push(first);
    const answeredBefore = items.map((item) => answers.has(item.op_id));
    const url = pick(urls);
    const sending = fetch(`${url}/api/sync/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close', prefer },
      body: JSON.stringify({ client_timestamp: new Date(Date.now() + skewMs).toISOString(), items }),
      ...(loss === 'aborted' ? { signal: AbortSignal.timeout(upTo(60)) } : {}),
    });
    const answer = await sending.then(readAnswer).catch((error: unknown) => {
      if (loss !== 'aborted') throw error;
    });
    if (answer === undefined || loss !== 'none') return;
    expect(answer.status).to.be.oneOf([200, 202]);
    const settleAll = (entries: Entry[]) => {
      expect(entries).to.have.length(items.length);
      for (const [index, item] of items.entries()) {
        const entry = entries[index];
        if (entry !== undefined) settle(item, entry, answeredBefore[index] === true);
      }
    };
    settleAll(answer.body.processed_items);
    if (answer.status === 200 || random() < 0.5) return;
    const later = await get(followReference('/api/sync/batch', answer.location ?? ''));
    expect(later.status).to.be.oneOf([200, 202]);
    settleAll(later.body.processed_items);
  }

  const get = async (path: string) =>
    readAnswer(await fetch(`${pick(urls)}${path}`, { headers: { connection: 'close' } }));

  /** Reads one page of the feed. @returns whether there is more */
  async function pull(limit: number, loss: 'none' | 'ignored' = 'none'): Promise<boolean> {
    const from = cursor === undefined ? '' : `&cursor=${cursor}`;
    const { status, body } = await get(`/api/sync/changes?limit=${limit}${from}`);
    expect(status).to.equal(200);
    if (loss === 'ignored') return true;
    for (const task of body.changes) {
      expect(task.seq).to.be.greaterThan(feedSeq);
      feedSeq = task.seq;
      listed?.add(task.id);
      take(task);
    }
    cursor = body.cursor;
    if (body.has_more) return true;
    // Deleted before the bootstrap began, known only from answers: the bootstrap does not tell of it.
    if (listed !== undefined) for (const id of store.keys()) if (!listed.has(id)) store.delete(id);
    listed = undefined;
    return false;
  }

  return {
    name,
    edits: edits as readonly Edit[],
    outbox: outbox as readonly Edit[],
    answers: answers as ReadonlyMap<string, string>,
    cursor: () => cursor,
    edit,
    push,
    pull,
    /** The live tasks as the user sees them, by id. */
    tasks: () =>
      [...new Set([...store.keys(), ...outbox.map(({ data }) => data.id)])].sort().flatMap((id) => liveOnly(view(id))),
  };
}

const liveOnly = (task: LocalTask | undefined) => (task === undefined || task.deleted ? [] : [task]);

async function readAnswer(response: Response) {
  // biome-ignore lint/suspicious/noExplicitAny: answers are checked where they are used
  const body: any = JSON.parse(await response.text());
  return { status: response.status, location: response.headers.get('location'), body };
}
