// The clients of examples/ as devices that a test uses like a person: Python's on the command line, the browser's in Chromium.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { registerCleanup } from './cleanup.js';
import { plainEnvironment } from './environment.js';
import { eventually } from './system.js';

export interface HeldTask {
  id: string;
  seq: number;
  title: string;
  completed: boolean;
  deleted: boolean;
}

export interface DeviceState {
  /** What the user sees. */
  shown: { title: string; completed: boolean }[];
  /** The records as the server gave them last. */
  server: HeldTask[];
  outbox: { op_id: string; operation: string; data: { id: string } }[];
  problems: string[];
  cursor: string | null;
}

export interface ExampleDevice {
  name: string;
  /** Makes a task, offline: what is online may have left the outbox before it is seen. @returns its id */
  add(title: string): Promise<string>;
  rename(id: string, title: string): Promise<void>;
  complete(id: string): Promise<void>;
  remove(id: string): Promise<void>;
  /** Tries once, or begins to. */
  attempt(): Promise<void>;
  /** Until it has sent everything and read everything up to `cursor`. */
  sync(cursor: () => Promise<string>): Promise<void>;
  state(): Promise<DeviceState>;
  close(): Promise<void>;
}

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url));

/** Runs commands of the client, one a line, in one process: to start Python for each takes longer than all that it does. */
const PYTHON_DRIVER = `
import contextlib, json, sys, tasks
def state():
    db = tasks.open_store()
    rows = lambda query: [json.loads(text) for (text,) in db.execute(query)]
    return {"shown": [{"title": t["title"], "completed": t["completed"]} for t in tasks.view(db).values()],
        "server": rows("SELECT record FROM server"), "outbox": rows("SELECT item FROM outbox ORDER BY n"),
        "problems": [message for (message,) in db.execute("SELECT message FROM problems")], "cursor": tasks.meta(db, "cursor")}
for line in sys.stdin:
    try:
        with contextlib.redirect_stdout(sys.stderr):
            answer = state() if line.strip() == "state" else tasks.main(*json.loads(line))
    except tasks.Stop as stop:
        answer = {"stop": str(stop)}
    print(json.dumps(answer), flush=True)`;

/** @param folder where it keeps what it has */
export function createPythonDevice(python: string, url: string, folder: string) {
  const env = {
    ...plainEnvironment(),
    TASK_SYNC_URL: url,
    TASK_SYNC_FILE: join(folder, 'tasks.sqlite'),
    PYTHONPATH: join(EXAMPLES, 'python'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const driver = spawn(python, ['-c', PYTHON_DRIVER], { env, stdio: ['pipe', 'pipe', 'ignore'] });
  const answers = createInterface(driver.stdout)[Symbol.asyncIterator]();
  const ask = async (line: string) => {
    driver.stdin.write(`${line}\n`);
    const { value } = await answers.next();
    return JSON.parse(value ?? '{"stop": "Python ended"}');
  };
  const call = async (...words: string[]) => {
    const answer: { stop: string } | null = await ask(JSON.stringify(words));
    if (answer !== null) throw new Error(answer.stop);
  };
  const state = (): Promise<DeviceState> => ask('state');
  const device: ExampleDevice = {
    name: 'Python',
    async add(title) {
      await call('add', title);
      return (await state()).outbox.at(-1)?.data.id ?? '';
    },
    rename: (id, title) => call('edit', id, title),
    complete: (id) => call('done', id),
    remove: (id) => call('delete', id),
    attempt: () => call('sync').catch(() => undefined),
    sync: () => call('sync'),
    state,
    async close() {
      driver.kill();
      await once(driver, 'close');
    },
  };
  return {
    ...device,
    /** The same device in a process of its own. */
    run: (...words: string[]) => spawn(python, [join(EXAMPLES, 'python', 'tasks.py'), ...words], { env }),
  };
}

const FLAGS = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-quic',
  '--disable-gpu',
];

/** The browser, and the web server of the example. */
export async function startBrowser(executablePath: string) {
  const server = spawn(process.execPath, [join(EXAMPLES, 'browser', 'serve.mjs'), '0'], {
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(server.stdout, 'data');
  const browser = await chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0, args: FLAGS });
  const started = {
    browser,
    address: String(line).trim(),
    async stop() {
      await browser.close();
      server.kill();
    },
  };
  registerCleanup(started, started.stop);
  return started;
}

const BROWSER_STATE = `(async () => {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await done(indexedDB.open('tasks'));
  const transaction = database.transaction([...database.objectStoreNames]);
  const all = (name) => done(transaction.objectStore(name).getAll());
  const [server, outbox, problems] = await Promise.all(['server', 'outbox', 'problems'].map(all));
  const cursor = await done(transaction.objectStore('meta').get('cursor'));
  database.close();
  const shown = [...document.querySelectorAll('#tasks li')].map((row) => {
    const [completed, title] = row.querySelectorAll('input');
    return { title: title.value, completed: completed.checked };
  });
  return { shown, server, cursor: cursor ?? null, outbox: outbox.map(({ item }) => item), problems: problems.map(({ message }) => message) };
})()`;

/** A browser of its own, with the page open. */
export async function openBrowserDevice(browser: Browser, address: string, url: string) {
  const context = await browser.newContext();
  const openTab = async () => tabOf(await context.newPage(), `${address}/?server=${url}`);
  return { ...(await openTab()), openTab, close: () => context.close() };
}

async function tabOf(page: Page, address: string) {
  await page.goto(address);
  const state = () => page.evaluate<DeviceState>(BROWSER_STATE);
  /** Does something that makes an operation. @returns it */
  async function edit(act: () => Promise<unknown>) {
    const before = new Set((await state()).outbox.map(({ op_id: opId }) => opId));
    await act();
    return eventually(async () => (await state()).outbox.find(({ op_id: opId }) => !before.has(opId)));
  }
  const rowOf = (id: string) => page.locator(`[id="${id}"]`);
  const device: ExampleDevice = {
    name: 'browser',
    async add(title) {
      const made = await edit(async () => {
        await page.fill('#title', title);
        await page.click('#add button');
      });
      return made.data.id;
    },
    async rename(id, title) {
      await edit(async () => {
        await rowOf(id).getByLabel('Title').fill(title);
        await rowOf(id).getByLabel('Title').blur();
      });
    },
    complete: async (id) => void (await edit(() => rowOf(id).getByLabel('Completed').check())),
    remove: async (id) => void (await edit(() => rowOf(id).getByRole('button').click())),
    attempt: () => page.evaluate("void dispatchEvent(new Event('online'))"),
    async sync(cursor) {
      await eventually(
        async () => {
          await device.attempt();
          const { outbox, cursor: held } = await state();
          return outbox.length === 0 && held === (await cursor());
        },
        30_000,
        250,
      );
    },
    state,
    close: () => page.close(),
  };
  return { ...device, page };
}
