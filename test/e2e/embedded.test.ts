// `npm start` as a new user meets it: real processes, own folder, own port.

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { identifyProcess } from '../../src/embedded/processIdentity.js';
import { testBackend } from '../support/environment.js';
import { createTestFolder, type TestFolder } from '../support/folders.js';
import { readChildren, startLauncher, waitForBanner } from '../support/launcher.js';
import { freePort } from '../support/ports.js';
import { createTestDatabase } from '../support/postgres.js';
import { startProcess, type TestProcess } from '../support/processes.js';

/** Children of a stopped or killed launcher may take a moment to be gone. */
async function waitUntilGone(pids: number[]): Promise<void> {
  for (const until = Date.now() + 15_000; pids.some((pid) => identifyProcess(pid) !== undefined); await sleep(25)) {
    expect(Date.now(), `still running: ${pids.filter((pid) => identifyProcess(pid) !== undefined)}`).to.be.below(until);
  }
}

async function createTask(port: number, title: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/api/tasks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ title }),
  });
  expect(response.status).to.equal(201);
}

async function readTitles(port: number): Promise<string[]> {
  const response = await fetch(`http://127.0.0.1:${port}/api/tasks`);
  const tasks: { title: string }[] = JSON.parse(await response.text());
  return tasks.map((task) => task.title);
}

/** A sentence for a person: no stack trace anywhere. */
function expectRefusal(launcher: TestProcess, exit: { code: number | null }, sentence: RegExp): void {
  expect(exit.code).to.equal(1);
  expect(launcher.output()).to.match(sentence);
  expect(launcher.output()).not.to.match(/^\s+at .*\d+:\d+\)?$/m);
}

describe(`npm start, queue on ${testBackend}`, () => {
  let folder: TestFolder;
  let port: number;
  let launcher: TestProcess;

  const start = (env: NodeJS.ProcessEnv = {}) =>
    startLauncher({ dataDir: folder.path, port, backend: testBackend, env });
  const pidOf = (name: string) => {
    const pid = readChildren(folder.path).findLast((child) => child.name === name)?.pid;
    if (pid === undefined) throw new Error(`${name} is not among the children`);
    return pid;
  };

  before(async () => {
    folder = createTestFolder('start');
    port = await freePort();
  });
  after(async () => {
    await launcher?.stop('SIGTERM');
    await folder.remove();
  });

  it('says what runs where, and answers', async () => {
    launcher = start();
    await waitForBanner(launcher);
    const banner = launcher.output();
    expect(banner).to.include(`http://localhost:${port}\n`);
    expect(banner).to.include(`http://localhost:${port}/admin/queues\n`);
    expect(banner).to.include(`data in ${folder.path}/postgres`);
    expect(banner).to.match(
      testBackend === 'redis' ? /BullMQ on Redis/ : /BullMQ on PostgreSQL.*no redis-server on PATH/,
    );
    expect(banner, 'a password').not.to.match(/postgres:\/\/|redis:\/\/:/);
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(response.status).to.equal(200);
    expect(JSON.parse(await response.text())).to.include({ status: 'running' });
  });

  it('is where the demo goes without --url, whatever PORT says', async () => {
    const env = { DATA_DIR: folder.path, PORT: '1' };
    const demo = startProcess({ name: 'demo', entry: 'scripts/demo.js', env, parameters: ['--clean'] });
    expect((await demo.exited).code, demo.output()).to.equal(0);
    expect(demo.output()).to.include('Removed 0 tasks');
  });

  it('keeps passwords and logs to their owner', () => {
    expect(statSync(join(folder.path, 'postgres.password')).mode & 0o077).to.equal(0);
    expect(statSync(join(folder.path, 'postgres')).mode & 0o077).to.equal(0);
    expect(statSync(join(folder.path, 'logs')).mode & 0o077).to.equal(0);
  });

  it('works on the backend that the banner names', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/api/sync/status`);
    const status: { queue: { backend: string } } = JSON.parse(await response.text());
    expect(status.queue.backend).to.equal(testBackend);
  });

  it('refuses a second start on the same folder, naming the first', async () => {
    const second = startLauncher({ dataDir: folder.path, port: await freePort(), backend: testBackend });
    expectRefusal(
      second,
      await second.exited,
      new RegExp(`already running on the data folder .*process ${launcher.pid}`),
    );
  });

  it('starts a killed API again', async () => {
    const killed = pidOf('The API');
    process.kill(killed, 'SIGKILL');
    await launcher.waitForOutput(
      /The API has ended unexpectedly \(signal SIGKILL\) and is started again in 0.25 s. Its log is .*api.log/,
    );
    await launcher.waitForHttp(`http://127.0.0.1:${port}/health/ready`);
    expect(pidOf('The API')).not.to.equal(killed);
  });

  it('starts a killed worker again', async () => {
    const killed = pidOf('The worker');
    process.kill(killed, 'SIGKILL');
    await launcher.waitForOutput(/The worker has ended unexpectedly \(signal SIGKILL\)/);
    while (pidOf('The worker') === killed) await sleep(25);
  });

  it('starts a killed PostgreSQL again, on the same port and with its data', async () => {
    await createTask(port, 'before the crash');
    process.kill(pidOf('PostgreSQL'), 'SIGKILL');
    await launcher.waitForOutput(/PostgreSQL has ended unexpectedly \(signal SIGKILL\)/);
    await sleep(500);
    await launcher.waitForHttp(`http://127.0.0.1:${port}/health/ready`);
    expect(await readTitles(port)).to.include('before the crash');
  });

  it('warns when the queue is away, and says when it answers again', async function () {
    const redis = readChildren(folder.path).find(({ name }) => name === 'Redis');
    if (redis === undefined) return this.skip();
    process.kill(redis.pid, 'SIGKILL');
    await launcher.waitForOutput(/api warn: the queue does not answer.*api info: the queue takes jobs again/s);
  });

  it('stops in order on Ctrl-C and leaves no process', async () => {
    await createTask(port, 'before the stop');
    const pids = readChildren(folder.path).map((child) => child.pid);
    // npm hands the terminal's signal on: the launcher gets two.
    process.kill(launcher.pid, 'SIGINT');
    expect(await launcher.stop('SIGINT')).to.deep.equal({ code: 0, signal: null });
    const stopped = [...launcher.output().matchAll(/^(.*) has stopped\.$/gm)].map((match) => match[1]);
    const expected = ['The API', 'The worker', 'Redis', 'PostgreSQL', 'Everything'];
    expect(stopped).to.deep.equal(expected.filter((name) => name !== 'Redis' || testBackend === 'redis'));
    expect(pids.filter((pid) => identifyProcess(pid) !== undefined)).to.deep.equal([]);
    expect(existsSync(join(folder.path, 'launcher.lock'))).to.equal(false);
  });

  it('has its data at the next start', async () => {
    launcher = start();
    await waitForBanner(launcher);
    expect(await readTitles(port)).to.include.members(['before the crash', 'before the stop']);
  });

  it('comes back after a kill -9 of the launcher', async () => {
    const children = readChildren(folder.path);
    await launcher.kill();
    // These two see that their launcher is gone; the servers are left for the next start.
    await waitUntilGone(
      children.filter(({ name }) => name === 'The API' || name === 'The worker').map(({ pid }) => pid),
    );
    launcher = start();
    await waitForBanner(launcher);
    expect(launcher.output()).to.match(
      /Stopped PostgreSQL \(process \d+\), left behind by an earlier start that was killed/,
    );
    await waitUntilGone(children.map(({ pid }) => pid));
    expect(await readTitles(port)).to.include.members(['before the crash', 'before the stop']);
  });

  it('comes back after a kill -9 of everything', async () => {
    const pids = readChildren(folder.path).map((child) => child.pid);
    await launcher.kill();
    for (const pid of pids) if (identifyProcess(pid) !== undefined) process.kill(pid, 'SIGKILL');
    launcher = start();
    await waitForBanner(launcher);
    expect(await readTitles(port)).to.include.members(['before the crash', 'before the stop']);
  });

  it('stops in the middle of a start', async () => {
    const other = createTestFolder('interrupted');
    const options = { dataDir: other.path, port: await freePort(), backend: testBackend };
    const interrupted = startLauncher(options);
    await interrupted.waitForOutput(/Preparing the database/);
    expect(await interrupted.stop('SIGINT')).to.deep.equal({ code: 0, signal: null });
    await waitUntilGone(readChildren(other.path).map((child) => child.pid));
    const next = startLauncher(options);
    await waitForBanner(next);
    expect(await next.stop('SIGTERM')).to.deep.equal({ code: 0, signal: null });
    await other.remove();
  });

  it('starts no database where DATABASE_URL is given', async () => {
    const database = await createTestDatabase(import.meta.url);
    const other = createTestFolder('external');
    const otherPort = await freePort();
    const env = { DATABASE_URL: database.url };
    const external = startLauncher({ dataDir: other.path, port: otherPort, backend: testBackend, env });
    await waitForBanner(external);
    expect(external.output()).to.match(/PostgreSQL at 127\.0\.0\.1:\d+\/test_embedded_\w+ \(DATABASE_URL\)/);
    expect(readChildren(other.path).map((child) => child.name)).not.to.include('PostgreSQL');
    await createTask(otherPort, 'elsewhere');
    await external.stop('SIGTERM');
    await other.remove();
    await database.drop();
  });
});

// Faults that are found before a queue is chosen: once is enough.
if (testBackend === 'postgres') {
  describe('npm start, refused', () => {
    let folder: TestFolder;
    const start = (options: { port: number; env?: NodeJS.ProcessEnv }) =>
      startLauncher({ dataDir: folder.path, backend: 'postgres', ...options });

    beforeEach(() => {
      folder = createTestFolder('refused');
    });
    afterEach(() => folder.remove());

    it('where the port is in use, naming another one, before anything is started', async () => {
      const server = createServer();
      const port = await new Promise<number>((resolve) => {
        server.listen(0, '127.0.0.1', () => {
          const address = server.address();
          resolve(typeof address === 'object' && address !== null ? address.port : 0);
        });
      });
      const launcher = start({ port });
      const exit = await launcher.exited;
      server.close();
      const sentence = `Port ${port} is in use by another program\\. Stop it, or choose another port: PORT=\\d+ npm start`;
      expectRefusal(launcher, exit, new RegExp(`^${sentence}$`, 'm'));
      expect(existsSync(join(folder.path, 'postgres'))).to.equal(false);
      expect(readChildren(folder.path)).to.deep.equal([]);
    });

    it('where another PostgreSQL wrote the data, which it leaves alone', async () => {
      mkdirSync(join(folder.path, 'postgres'), { mode: 0o700 });
      writeFileSync(join(folder.path, 'postgres', 'PG_VERSION'), '12\n');
      const launcher = start({ port: await freePort() });
      expectRefusal(
        launcher,
        await launcher.exited,
        /was written by PostgreSQL 12; this Task Sync brings PostgreSQL \d+.*DATA_DIR=/,
      );
      expect(readFileSync(join(folder.path, 'postgres', 'PG_VERSION'), 'utf8')).to.equal('12\n');
    });

    it('where the data folder holds something else', async () => {
      mkdirSync(join(folder.path, 'postgres'));
      writeFileSync(join(folder.path, 'postgres', 'holiday.jpg'), '');
      const launcher = start({ port: await freePort() });
      expectRefusal(launcher, await launcher.exited, /is no PostgreSQL data folder/);
    });

    it('where DATA_DIR is a file', async () => {
      writeFileSync(join(folder.path, 'file'), '');
      const launcher = start({ port: await freePort(), env: { DATA_DIR: join(folder.path, 'file') } });
      expectRefusal(
        launcher,
        await launcher.exited,
        new RegExp(`^${folder.path}/file is a file where a folder is needed`, 'm'),
      );
    });

    it('while it runs, when the data folder is removed', async () => {
      const launcher = start({ port: await freePort() });
      await waitForBanner(launcher);
      const pids = readChildren(folder.path).map(({ pid }) => pid);
      const [postgres] = readChildren(folder.path);
      rmSync(folder.path, { recursive: true, maxRetries: 5 });
      if (postgres !== undefined) process.kill(postgres.pid, 'SIGKILL');
      const sentence = new RegExp(`^The data folder ${folder.path} was removed while Task Sync ran; it stops\\.`, 'm');
      expectRefusal(launcher, await launcher.exited, sentence);
      await waitUntilGone(pids);
    });

    it('where a setting is wrong, with one sentence for each', async () => {
      const launcher = start({ port: await freePort(), env: { PORT: 'five', LOG_LEVEL: 'loud' } });
      expectRefusal(launcher, await launcher.exited, /PORT must be a number.*LOG_LEVEL must be one of/s);
    });

    it('where the given database is not there', async () => {
      const env = { DATABASE_URL: `postgres://nobody:secret-word@127.0.0.1:${await freePort()}/nothing` };
      const launcher = start({ port: await freePort(), env });
      expectRefusal(launcher, await launcher.exited, /The database could not be prepared/);
      expect(launcher.output()).not.to.include('secret-word');
    });
  });
}
