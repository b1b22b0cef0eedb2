// Tasks that can be edited offline and in many tabs, and sync. It follows "A client's loop" of docs/protocol.md: `server` holds the records as
// the server gave them last, `outbox` the operations that it has not answered, and the user sees the outbox folded over `server`. A refused
// operation leaves the outbox, and that is all.
import { done, openStore } from './store.js';

const BATCH = 200;
const LOOK_EVERY_MS = 30_000;

/** Not now: again after so many seconds, or after a growing random time where the server does not say. */
class Later extends Error {}

/** @param onChange is called when there may be something new to show */
export async function openTasks({ url, name = 'tasks', onChange }) {
  const transact = await openStore(name);
  const tabs = new BroadcastChannel(name);
  // Without https, or this machine, there are no locks: such a page should not be open twice.
  const locks = navigator.locks ?? { request: (_name, work) => work() };
  let [state, isRung, wake, stream] = ['', false, () => {}];

  /** There is something to do. */
  function ring() {
    isRung = true;
    wake();
  }

  /** There may be something to show, in every tab. */
  function tell() {
    tabs.postMessage('');
    onChange();
  }

  /** The user did something: an operation, later than all before it even where the clock went back. */
  async function edit(operation, data) {
    await transact(async ({ outbox, meta }) => {
      const micros = Math.max(Date.now() * 1_000, ((await done(meta.get('last_edit'))) ?? 0) + 1);
      const clientId = (await done(meta.get('client_id'))) ?? crypto.randomUUID();
      meta.put(micros, 'last_edit');
      meta.put(clientId, 'client_id');
      const updatedAt = new Date(micros / 1_000)
        .toISOString()
        .replace('Z', `${String(micros % 1_000).padStart(3, '0')}Z`);
      const item = {
        client_id: clientId,
        op_id: crypto.randomUUID(),
        operation,
        data: { ...data, updated_at: updatedAt },
      };
      outbox.add({ item });
    });
    tell();
    ring();
  }

  /** What the user sees: the outbox folded over what the server has. */
  const view = () =>
    transact(async ({ server, outbox, problems }) => {
      const records = new Map((await done(server.getAll())).map((record) => [record.id, record]));
      const rows = await done(outbox.getAll());
      for (const { operation, data } of rows.map(({ item }) => item)) {
        const record = records.get(data.id);
        if (record === undefined && operation !== 'create') continue;
        records.set(data.id, { completed: false, ...record, ...data, deleted: operation === 'delete' });
      }
      const tasks = [...records.values()].filter(({ deleted }) => !deleted);
      return { tasks, waiting: rows.length, problems: await done(problems.getAll()), state };
    });

  /** @returns an answer that has what is wanted, or a refusal that the caller knows what to do about */
  async function ask(path, wanted, known, body) {
    const post = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
    const answer = await fetch(url + path, { ...(body && post), signal: AbortSignal.timeout(60_000) }).catch(() => {
      throw new Later();
    });
    const { status } = answer;
    const content = await answer.json().catch(() => ({}));
    if (status < 300 ? wanted in content : known.includes(status) && (content.code || status !== 400))
      return { status, content };
    if (status < 300 || status === 408 || status === 429 || status >= 500)
      throw new Later(answer.headers.get('Retry-After'));
    throw new Error(content.detail ?? `The server answered ${status}.`);
  }

  /** A record of the server's replaces an older one and never a newer one, however late it comes. */
  async function take(server, record) {
    const held = await done(server.get(record.id));
    if (held === undefined || record.seq >= held.seq) server.put(record);
  }

  /** Takes over what became of an operation. What is pending stays: it is sent again until it is settled. */
  async function settle({ server, outbox, problems }, { n, item }, result) {
    if (result.status === 'pending') return;
    outbox.delete(n);
    if (result.resolved_data) await take(server, result.resolved_data);
    // There is no such task.
    else if (result.resolved_data === null && !result.resolved_data_omitted) server.delete(item.data.id);
    if (['conflict', 'not_found', 'error'].includes(result.status)) problems.add({ message: result.message, item });
  }

  /** Sends the outbox, oldest first, one request at a time. */
  async function push() {
    for (let [size, sent] = [BATCH, 0]; ; ) {
      const rows = await transact(({ outbox }) => done(outbox.getAll(IDBKeyRange.lowerBound(sent, true), size)));
      if (rows.length === 0) return;
      const body = { client_timestamp: new Date().toISOString(), items: rows.map(({ item }) => item) };
      const { status, content } = await ask('/api/sync/batch', 'processed_items', [400, 408, 413], body);
      if (status >= 400 && rows.length > 1) {
        // Too much, too slow, or one of them spoils the request.
        size = Math.floor(rows.length / 2);
        continue;
      }
      if (status === 408) throw new Later();
      // Refused alone, an operation will never be taken: it is given up, and listed with the problems.
      const results = content.processed_items ?? [
        { status: 'error', message: content.detail ?? `Answered ${status}.` },
      ];
      // What became of an operation, and that it is answered: both or neither.
      await transact(async (stores) => {
        for (const [index, row] of rows.entries()) await settle(stores, row, results[index]);
      });
      sent = rows.at(-1).n;
      size = Math.min(2 * size, BATCH);
    }
  }

  /** Reads the feed to its end. Without a cursor, or with one that cannot be continued, it reads all and replaces what it had. */
  async function pull() {
    let cursor = await transact(({ meta }) => done(meta.get('cursor')));
    let [isAll, records, hasMore] = [!cursor, [], true];
    while (hasMore) {
      const path = `/api/sync/changes?limit=1000${cursor ? `&cursor=${cursor}` : ''}`;
      const { status, content } = await ask(path, 'changes', cursor ? [400, 410] : []);
      if (status >= 400) [isAll, records, cursor] = [true, []];
      else [records, cursor, hasMore] = [[...records, ...content.changes], content.cursor, content.has_more];
    }
    // The records, and the place up to which they go: both or neither.
    await transact(async ({ server, meta }) => {
      if (isAll) server.clear();
      for (const record of records) await take(server, record);
      meta.put(cursor, 'cursor');
    });
    return cursor;
  }

  /** The stream only rings: what is new is read from the feed, so a gap, `resync` and 410 need nothing of their own. */
  function listen(cursor) {
    if (document.hidden || (stream && stream.readyState !== EventSource.CLOSED)) return;
    stream = new EventSource(`${url}/api/sync/stream?cursor=${cursor}`);
    for (const event of ['ready', 'change', 'resync']) stream.addEventListener(event, ring);
    // It goes on by itself unless the server has refused it.
    stream.onerror = ({ target }) => {
      if (target.readyState === EventSource.CLOSED) setTimeout(ring, 10_000 * Math.random());
    };
  }

  /** Pushes and pulls whenever there is something to do, one tab at a time, whatever the network does meanwhile. */
  async function run() {
    for (let failures = 0; ; ) {
      let [pauseMs, canWake] = [LOOK_EVERY_MS * (0.5 + Math.random()), true];
      isRung = false;
      try {
        listen(await locks.request(name, () => push().then(pull)));
        [failures, state] = [0, ''];
        if ((await view()).waiting > 0) pauseMs = 1_000;
      } catch (error) {
        // What is no Later a person has to look at, like a user who is not signed in. Nothing is dropped for it.
        state = error instanceof Later ? 'The server is not reached.' : error.message;
        failures += 1;
        const toldMs = error instanceof Later ? Number(error.message) * 1_000 : 0;
        canWake = !toldMs;
        if (error instanceof Later) pauseMs = toldMs || Math.random() * Math.min(60, 2 ** failures) * 1_000;
      }
      tell();
      await new Promise((resolve) => {
        setTimeout(resolve, pauseMs);
        if (canWake) wake = resolve;
        if (canWake && isRung) resolve();
      });
    }
  }

  tabs.onmessage = onChange;
  addEventListener('online', ring);
  document.addEventListener('visibilitychange', () => (document.hidden ? stream?.close() : ring()));
  void run();
  return {
    view,
    add: (title) => edit('create', { id: crypto.randomUUID(), title }),
    change: (id, fields) => edit('update', { id, ...fields }),
    remove: (id) => edit('delete', { id }),
  };
}
