// The clients of examples/ against the real product, on networks and servers that go wrong (I10): whatever the answers were, each ends with
// what the server has, by its digest and by a bootstrap.
import { once } from 'node:events';
import { expect } from 'chai';
import { type BadNetwork, startBadNetwork } from '../support/badNetwork.js';
import { curl, curlVersion } from '../support/curl.js';
import { digestOf } from '../support/digest.js';
import { testBackend } from '../support/environment.js';
import {
  createPythonDevice,
  type ExampleDevice,
  type HeldTask,
  openBrowserDevice,
  startBrowser,
} from '../support/exampleDevices.js';
import { createTestFolder, type TestFolder } from '../support/folders.js';
import { createItem, deleteItem, updateItem } from '../support/operations.js';
import { createRandom } from '../support/oracle.js';
import { queryDatabase, type TestDatabase } from '../support/postgres.js';
import { describeWith, findBrowser, findProgram } from '../support/programs.js';
import { createMigratedDatabase, eventually, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

const TOO_LONG = 't'.repeat(1_001);
const BATCH = '/api/sync/batch';
const python = findProgram('python3');
const chromium = findBrowser();

/** The server's tasks, as a device that begins anew reads them. */
async function bootstrap(system: System): Promise<HeldTask[]> {
  const { body } = await system.request('GET', '/api/sync/changes?limit=5000');
  expect(body.has_more).to.equal(false);
  return body.changes;
}

const digestAt = async (system: System) => (await system.request('GET', '/api/sync/digest')).body;
const shownOf = ({ title, completed }: { title: string; completed: boolean }) => `${completed ? 'x' : '-'} ${title}`;

/** Lets a device sync, and compares what it has with the server. */
async function expectEqual(device: ExampleDevice, system: System) {
  await device.sync(async () => (await digestAt(system)).cursor);
  const tasks = await bootstrap(system);
  await eventually(async () => {
    const { shown } = await device.state();
    return shown.map(shownOf).sort().join('\n') === tasks.map(shownOf).sort().join('\n');
  }, 5_000).catch(async () => {
    expect((await device.state()).shown.map(shownOf)).to.have.members(tasks.map(shownOf));
  });
  const { server, outbox, cursor } = await device.state();
  const { buckets, cursor: end } = await digestAt(system);
  expect(outbox).to.deep.equal([]);
  expect(cursor).to.equal(end);
  expect(digestOf(server.filter(({ deleted }) => !deleted))).to.deep.equal(buckets);
  // Whether operations wait is of the moment, and changes without a seq.
  const stateOf = (task: HeldTask) => ({ ...task, sync_status: undefined });
  expect(server.filter(({ deleted }) => !deleted).map(stateOf)).to.have.deep.members(tasks.map(stateOf));
}

/** All rows, kept beside them, as a dump would keep them. */
const backUp = (database: TestDatabase) =>
  queryDatabase(
    database.url,
    `DO $$ DECLARE t record; BEGIN CREATE SCHEMA backup;
     FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
       EXECUTE format('CREATE TABLE backup.%1$I AS TABLE public.%1$I', t.tablename);
     END LOOP; END $$`,
  );

/** The rows of the backup again, and an operator says that it is another time line now. */
const restore = (database: TestDatabase) =>
  queryDatabase(
    database.url,
    `DO $$ DECLARE t record; BEGIN SET LOCAL session_replication_role = replica;
     FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'backup' LOOP
       EXECUTE format('DELETE FROM public.%I', t.tablename);
       EXECUTE format('INSERT INTO public.%1$I SELECT * FROM backup.%1$I', t.tablename);
     END LOOP; UPDATE sync_identity SET incarnation = gen_random_uuid(); END $$`,
  );

interface Surroundings {
  network: BadNetwork;
  folder: TestFolder;
}

/** @returns what each test has anew: the product, and a network of its own for each device, cut */
function setUp() {
  let database: TestDatabase;
  let system: System;
  let folder: TestFolder;
  let networks: BadNetwork[] = [];
  let devices: ExampleDevice[] = [];
  const start = () => withQueue(startSystem(import.meta.url, { database, env: { CORS_ORIGIN: '*' } }));
  beforeEach(async () => {
    database = await createMigratedDatabase(import.meta.url);
    system = await start();
    folder = createTestFolder('example');
    networks = [];
    devices = [];
  });
  afterEach(async () => {
    for (const device of devices) await device.close();
    for (const network of networks) await network.close();
    await folder.remove();
    await system.stop();
    await database.drop();
  });
  return {
    system: () => system,
    async open<Device extends ExampleDevice>(make: (surroundings: Surroundings) => Promise<Device> | Device) {
      const network = await startBadNetwork(system.url);
      networks.push(network);
      const device = await make({ network, folder });
      devices.push(device);
      network.cut(true);
      return { network, device };
    },
    backUp: () => backUp(database),
    /** The server goes back to its backup, on the same address. */
    async restoreServer() {
      await system.stop();
      await restore(database);
      system = await start();
      for (const network of networks) network.connectTo(system.url);
    },
  };
}

const problem = (status: number, code: string, headers = {}) => ({
  status,
  headers: { 'Content-Type': 'application/problem+json', ...headers },
  body: JSON.stringify({ status, code, detail: `Told by the test: ${code}.` }),
});
const WAIT_A_SECOND = { 'Retry-After': '1', 'Access-Control-Expose-Headers': 'Retry-After' };

/** What every client has to master. */
function followsTheLoop(make: (surroundings: Surroundings) => Promise<ExampleDevice> | ExampleDevice) {
  const { system, open, backUp, restoreServer } = setUp();
  let network: BadNetwork;
  let device: ExampleDevice;
  beforeEach(async () => {
    ({ network, device } = await open(make));
  });

  const pushes = () =>
    network.seen.filter(({ path }) => path === BATCH).map(({ body }) => JSON.parse(body).items.length);
  async function syncAndCut() {
    network.cut(false);
    await expectEqual(device, system());
    network.cut(true);
  }
  const shown = async () => (await device.state()).shown.map(shownOf).sort();

  it('goes back to the server after an edit that is not valid, of a task and of one that never was', async () => {
    const id = await device.add('Milk');
    await syncAndCut();
    await device.rename(id, TOO_LONG);
    await device.add('   ');
    await eventually(async () => (await shown()).join() === `-    ,- ${TOO_LONG}`);
    await syncAndCut();
    expect(await shown()).to.deep.equal(['- Milk']);
    expect((await device.state()).problems).to.have.lengthOf(2);
  });

  it('keeps what it edited offline, in its order, and takes over the later edits of others', async () => {
    const [milk, eggs] = [await device.add('Milk'), await device.add('Eggs')];
    await syncAndCut();
    await device.rename(milk, 'Oat milk');
    await device.remove(eggs);
    const bread = await device.add('Bread');
    await device.rename(bread, 'Rye bread');
    await curl([`${system().url}${BATCH}`], { items: [updateItem(milk, { title: 'Soy milk' })] });
    await device.complete(bread);
    await syncAndCut();
    expect(await shown()).to.deep.equal(['- Soy milk', 'x Rye bread']);
    expect((await device.state()).problems).to.have.lengthOf(1);
  });

  it('drops what the server does not know, and what was deleted meanwhile', async () => {
    const [milk, eggs] = [await device.add('Milk'), await device.add('Eggs')];
    await syncAndCut();
    await device.rename(milk, 'Oat milk');
    await system().database.select('DELETE FROM tasks WHERE id = $1', [milk]);
    await system().request('DELETE', `/api/tasks/${eggs}`);
    await syncAndCut();
    expect(await shown()).to.deep.equal([]);
    expect((await device.state()).problems).to.deep.equal(['There is no task of this id.']);
  });

  it('sends again what was not answered, and it happens once (I2)', async () => {
    await device.add('Milk');
    await device.add('Eggs');
    network.spoil(BATCH, 'answer lost');
    await syncAndCut();
    expect(pushes()).to.deep.equal([2, 2]);
    const { body } = await system().request('GET', '/api/sync/status');
    expect(body).to.include({ total: 2, synced: 2 });
  });

  it('waits as the server says, and takes nothing for an answer that is none', async () => {
    await device.add('Milk');
    network.spoil(
      BATCH,
      { status: 200, headers: { 'Content-Type': 'text/html' }, body: '<p>Sign in to the hotel</p>' },
      { status: 200, headers: { 'Content-Type': 'application/json' }, body: '{"hotel": true}' },
      problem(429, 'too_many_pending', WAIT_A_SECOND),
      problem(503, 'overloaded', WAIT_A_SECOND),
    );
    await syncAndCut();
    expect(pushes()).to.deep.equal([1, 1, 1, 1, 1]);
    expect((await device.state()).problems).to.deep.equal([]);
  });

  const notOurs = { status: 400, headers: { 'Content-Type': 'application/json' }, body: '{"message":"No such host"}' };
  for (const [what, refusal] of [
    ['401', problem(401, 'unauthorized')],
    ['403', problem(403, 'forbidden')],
    ['400', { status: 400 }],
    ['400 of a proxy that says it in JSON', notOurs],
    ['404', { status: 404 }],
  ] as const) {
    it(`keeps the outbox whatever is refused as a whole: ${what}`, async () => {
      await device.add('Milk');
      await device.add('Eggs');
      // Alone as well, where it looks for the one that is to blame.
      network.spoil(BATCH, refusal, refusal);
      network.cut(false);
      await device.attempt();
      await eventually(() => pushes().length > 0);
      await device.attempt();
      const { outbox, problems } = await device.state();
      expect([outbox.length === 0 || outbox.length === 2, problems]).to.deep.equal([true, []]);
      await syncAndCut();
      expect(await shown()).to.deep.equal(['- Eggs', '- Milk']);
    });
  }

  for (const refusal of [{ status: 413 }, problem(413, 'too_large'), problem(400, 'invalid_json')]) {
    it(`sends less, and gives up the one that alone is refused: ${JSON.stringify(refusal.status)}`, async () => {
      for (const title of ['a', 'b', 'c']) await device.add(title);
      network.spoil(BATCH, refusal, refusal);
      await syncAndCut();
      expect(pushes()).to.deep.equal([3, 1, 2]);
      expect(await shown()).to.deep.equal(['- b', '- c']);
      expect((await device.state()).problems).to.have.lengthOf(1);
    });
  }

  it('sends less over a line that is too slow, and gives nothing up', async () => {
    for (const title of ['a', 'b', 'c']) await device.add(title);
    network.spoil(BATCH, problem(408, 'request_timeout'), problem(408, 'request_timeout'));
    await syncAndCut();
    // Browsers repeat a request that was answered 408 by themselves.
    expect(Math.min(...pushes())).to.equal(1);
    expect(await shown()).to.deep.equal(['- a', '- b', '- c']);
    expect((await device.state()).problems).to.deep.equal([]);
  });

  it('is the server again after that was restored from a backup', async () => {
    const milk = await device.add('Milk');
    await syncAndCut();
    await backUp();
    for (const title of ['Oat milk', 'Soy milk', 'Rice milk']) await device.rename(milk, title);
    await device.add('Lost with the server');
    await syncAndCut();
    await device.complete(milk);
    await device.add('Bread');
    await restoreServer();
    await syncAndCut();
    expect(await shown()).to.deep.equal(['- Bread', 'x Milk']);
  });

  it('reads all again when its cursor has expired, or is none', async () => {
    const milk = await device.add('Milk');
    await syncAndCut();
    for (const fault of [problem(410, 'cursor_expired'), problem(400, 'invalid_request')]) {
      await curl([`${system().url}${BATCH}`], {
        items: [updateItem(milk, { title: `${fault.status}` }), createItem(`t-${fault.status}`)],
      });
      network.spoil('/api/sync/changes', fault);
      await syncAndCut();
    }
  });
}

describeWith({ python3: python, curl: curlVersion() }, `the example client in Python, queue on ${testBackend}`, () => {
  const make = ({ network, folder }: Surroundings) => createPythonDevice(python ?? '', network.url, folder.path);
  followsTheLoop(make);

  const { system, open } = setUp();
  it('goes on where it was when it was killed between sending and the answer', async () => {
    const { device, network } = await open(make);
    const id = await device.add('Milk');
    await device.rename(id, TOO_LONG);
    network.spoil(BATCH, 'answer held');
    network.cut(false);
    const killed = device.run('sync');
    await eventually(async () => (await system().request('GET', '/api/sync/status')).body.synced === 1);
    killed.kill('SIGKILL');
    await once(killed, 'close');
    expect((await device.state()).outbox).to.have.lengthOf(2);
    await expectEqual(device, system());
    expect((await system().request('GET', '/api/sync/status')).body.total).to.equal(1);
  });

  it('says what is wrong with a command, and stores nothing of it', async () => {
    const { device } = await open(make);
    for (const [words, code, said] of [
      [['--help'], 2, /^Usage: tasks\.py add TITLE/],
      [['remove', '1'], 2, /^Usage: /],
      [['add'], 2, /^Usage: /],
      [['add', ''], 2, /^Usage: /],
      [['done', '99'], 1, /^There is no task 99/],
      [['edit', '99', 'Milk'], 1, /^There is no task 99/],
    ] as const) {
      const run = device.run(...words);
      let errors = '';
      run.stderr.on('data', (chunk) => (errors += chunk));
      expect(await once(run, 'close'), words.join(' ')).to.deep.equal([code, null]);
      expect(errors).to.match(said);
    }
    expect((await device.state()).outbox).to.deep.equal([]);
  });

  it('takes an address with a slash at its end, and names one without http://', async () => {
    let path = '';
    await open((surroundings) => {
      path = surroundings.folder.path;
      return make(surroundings);
    });
    const address = system().url;
    const withSlash = createPythonDevice(python ?? '', `${address}/`, path);
    await withSlash.sync(async () => '');
    await withSlash.close();
    const bare = createPythonDevice(python ?? '', address.replace('http://', ''), path);
    const problem = await bare.sync(async () => '').catch((error: Error) => error.message);
    await bare.close();
    expect(problem).to.match(/^TASK_SYNC_URL has to begin with http:\/\/ or https:\/\//);
  });
});

describeWith({ chromium, curl: curlVersion() }, `the example client in a browser, queue on ${testBackend}`, () => {
  let started: Awaited<ReturnType<typeof startBrowser>>;
  before(async () => {
    started = await startBrowser(chromium ?? '');
  });
  after(() => started.stop());
  const make = ({ network }: Surroundings) => openBrowserDevice(started.browser, started.address, network.url);
  followsTheLoop(make);

  const { system, open, backUp, restoreServer } = setUp();
  it('goes on where it was when its page was left between sending and the answer', async () => {
    const { device, network } = await open(make);
    const id = await device.add('Milk');
    await device.rename(id, TOO_LONG);
    network.spoil(BATCH, 'answer held');
    network.cut(false);
    await device.attempt();
    await eventually(async () => (await system().request('GET', '/api/sync/status')).body.synced === 1);
    await device.page.reload();
    await expectEqual(device, system());
    expect((await system().request('GET', '/api/sync/status')).body.total).to.equal(1);
  });

  it('says that the server is not reached, and not beside it that everything is synced; asks for no icon', async () => {
    const { device, network } = await open(make);
    const missing: string[] = [];
    device.page.on('response', (response) => {
      if (response.status() === 404) missing.push(response.url());
    });
    await device.page.reload();
    const status = device.page.locator('#status');
    await eventually(async () => (await status.textContent()) === 'The server is not reached.');
    network.cut(false);
    await expectEqual(device, system());
    await eventually(async () => (await status.textContent()) === 'Everything is synced.');
    expect(missing).to.deep.equal([]);
  });

  it('shows what others do as it happens, also after the server was restored under its stream', async () => {
    const { device, network } = await open(make);
    const shows = (...titles: string[]) =>
      eventually(
        async () =>
          (await device.state()).shown
            .map(({ title }) => title)
            .sort()
            .join() === titles.join(),
        25_000,
      );
    network.cut(false);
    await expectEqual(device, system());
    await backUp();
    await system().push([createItem('bread', { title: 'Bread' })]);
    await shows('Bread');
    await restoreServer();
    await system().push([createItem('milk', { title: 'Milk' })]);
    await shows('Milk');
    await expectEqual(device, system());
  });

  it('sends what any of its tabs edited, once', async () => {
    const { device, network } = await open(make);
    const other = await device.openTab();
    await device.add('From one');
    await other.add('From the other');
    network.cut(false);
    await other.attempt();
    await expectEqual(device, system());
    await eventually(async () => (await other.state()).shown.length === 2);
    expect((await system().request('GET', '/api/sync/status')).body.total).to.equal(2);
  });
});

describeWith(
  { python3: python, chromium, curl: curlVersion() },
  `three example devices, queue on ${testBackend}`,
  () => {
    const { system, open, backUp, restoreServer } = setUp();
    let started: Awaited<ReturnType<typeof startBrowser>>;
    before(async () => {
      started = await startBrowser(chromium ?? '');
    });
    after(() => started.stop());

    it('end equal to the server after days offline, lost answers, edits that are not valid, and a restore', async () => {
      const random = createRandom(12);
      const pick = <Value>(values: readonly Value[]) => values[Math.floor(random() * values.length)] as Value;
      const opened = [
        await open(({ network, folder }) => createPythonDevice(python ?? '', network.url, folder.path)),
        await open(({ network }) => openBrowserDevice(started.browser, started.address, network.url)),
      ];
      const push = (...items: object[]) => curl([`${system().url}${BATCH}`], { items });
      await push(...['a', 'b', 'c', 'd'].map((id) => createItem(id, { title: `Task ${id}` })));
      for (const { device, network } of opened) {
        network.cut(false);
        await expectEqual(device, system());
      }
      await backUp();
      for (let round = 0; round < 4; round += 1) {
        for (const { device, network } of opened) {
          network.cut(true);
          await device.add(random() < 0.3 ? ' ' : `${device.name} ${round}`);
          const alive = (await device.state()).server.filter(({ deleted }) => !deleted);
          const ids = alive.map(({ id }) => id);
          const open = alive.filter(({ completed }) => !completed).map(({ id }) => id);
          for (const title of [`${device.name} was here ${round}`, TOO_LONG]) {
            if (random() < 0.7) await device.rename(pick(ids), title);
          }
          if (open.length > 0 && random() < 0.5) await device.complete(pick(open));
          if (ids.length > 2 && random() < 0.5) await device.remove(pick(ids));
        }
        await push(
          updateItem(pick(['a', 'b', 'c', 'd']), { title: `curl ${round}` }),
          updateItem('a', { title: '' }),
          deleteItem('never'),
          deleteItem(pick(['c', 'd'])),
        );
        if (round === 2) await restoreServer();
        for (const { network } of opened) {
          if (random() < 0.6) network.spoil(BATCH, 'answer lost');
          network.cut(false);
        }
        // Whoever was first has to hear of what the others brought.
        for (const { device } of [...opened, ...opened])
          await device.sync(async () => (await digestAt(system())).cursor);
        for (const { device } of opened) await expectEqual(device, system());
      }
    });
  },
);
