// The documented commands are stopped with npm, whichever way it ends: nothing goes on without anybody who could stop it, and each part has
// ended in order before npm says that it has (I1: what was accepted is there afterwards).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { identifyProcess } from '../../src/embedded/processIdentity.js';
import { requireSharedRedis, testBackend } from '../support/environment.js';
import { createTestFolder, type TestFolder } from '../support/folders.js';
import { launcherEnvironment, readChildren, waitForBanner } from '../support/launcher.js';
import { startNpm } from '../support/npm.js';
import { freePort } from '../support/ports.js';
import { createTestDatabase, queryDatabase, type TestDatabase } from '../support/postgres.js';
import type { TestProcess } from '../support/processes.js';
import { eventually } from '../support/system.js';

async function waitUntilGone(pids: number[]): Promise<void> {
  while (pids.some((pid) => identifyProcess(pid) !== undefined)) await sleep(25);
}

/** The process that npm runs says its pid in each line. */
const pidOf = (npm: TestProcess) => Number(npm.output().match(/"pid":(\d+)/)?.[1]);

async function isServed(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/health/live`).then(
    () => true,
    () => false,
  );
}

describe(`npm run start:api and start:worker, queue on ${testBackend}`, () => {
  let database: TestDatabase;
  before(async () => {
    database = await createTestDatabase(import.meta.url);
    const migration = startNpm('db:migrate', { DATABASE_URL: database.url });
    expect(await migration.exited).to.deep.equal({ code: 0, signal: null });
  });
  after(() => database.drop());

  async function start(script: 'start:api' | 'start:worker') {
    const port = await freePort();
    const redis = testBackend === 'redis' ? requireSharedRedis() : '';
    const npm = startNpm(script, {
      DATABASE_URL: database.url,
      REDIS_URL: redis,
      QUEUE_PREFIX: `{npm-${process.pid}}`,
      ...(script === 'start:api' ? { PORT: String(port) } : { PORT: '0', WORKER_HEALTH_PORT: String(port) }),
    });
    await npm.waitForHttp(`http://127.0.0.1:${port}/health/ready`);
    return { npm, port, pid: pidOf(npm) };
  }

  for (const script of ['start:api', 'start:worker'] as const) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      it(`${script} ends in order before npm does, on ${signal} to npm alone`, async () => {
        const { npm, port, pid } = await start(script);
        await npm.stop(signal);
        expect(identifyProcess(pid), 'the process that npm ran').to.equal(undefined);
        expect(await isServed(port)).to.equal(false);
        await eventually(() => new RegExp(`"reason":"${signal}".*"stopped"`, 's').test(npm.output()));
      });
    }

    for (const signal of ['SIGHUP', 'SIGKILL'] as const) {
      it(`${script} ends in order on its own when npm ends by ${signal}`, async () => {
        const { npm, port, pid } = await start(script);
        npm.signal(signal);
        await npm.exited;
        await waitUntilGone([pid]);
        expect(await isServed(port)).to.equal(false);
        await eventually(() => /"reason":"npm, which ran this, is gone".*"stopped"/s.test(npm.output()));
      });
    }
  }
});

describe(`npm start through npm, queue on ${testBackend}`, () => {
  let folder: TestFolder;
  before(() => {
    folder = createTestFolder('npm');
  });
  after(() => folder.remove());

  async function start() {
    const port = await freePort();
    const npm = startNpm('start', launcherEnvironment({ dataDir: folder.path, port, backend: testBackend }));
    await waitForBanner(npm);
    return { npm, port, pids: readChildren(folder.path).map(({ pid }) => pid) };
  }

  /** db:url leads into the database that runs; a client that is too old for it, or missing, is said in a sentence. */
  async function showsItsDatabase() {
    const env = { DATA_DIR: folder.path };
    const asked = startNpm('db:url', env);
    await asked.exited;
    const [url = ''] = asked.output().match(/^postgres:.*$/m) ?? [];
    expect(await queryDatabase(url, 'SELECT title FROM tasks')).to.deep.equal([{ title: 'Kept' }]);
    const dump = startNpm('db:dump', env, join(folder.path, 'kept.dump'));
    const { code } = await dump.exited;
    if (code === 0) expect(readFileSync(join(folder.path, 'kept.dump')).subarray(0, 5).toString()).to.equal('PGDMP');
    else
      expect(dump.output()).to.match(
        /pg_dump.*: the database is PostgreSQL 18 and wants pg_dump 18 or later\. .*postgresql-client-18/,
      );
  }

  const listTasks = async (port: number) => (await fetch(`http://127.0.0.1:${port}/api/tasks`)).text();

  it('stops PostgreSQL, the queue, the API and the worker before npm ends, on SIGTERM to npm alone', async () => {
    const { npm, port, pids } = await start();
    expect(pids.length).to.be.at.least(3);
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ id: 'kept', title: 'Kept' });
    expect((await fetch(`http://127.0.0.1:${port}/api/tasks`, { method: 'POST', headers, body })).status).to.equal(201);
    await showsItsDatabase();
    await npm.stop('SIGTERM');
    expect(pids.filter((pid) => identifyProcess(pid) !== undefined)).to.deep.equal([]);
    expect(await isServed(port)).to.equal(false);
    await eventually(() => /Stopping \(SIGTERM\).*Everything has stopped\./s.test(npm.output()));
  });

  it('stops everything in order when npm is killed, and the data is there at the next start', async () => {
    const { npm, port, pids } = await start();
    expect(await listTasks(port)).to.include('Kept');
    await npm.kill();
    await waitUntilGone(pids);
    await eventually(() => /Stopping \(npm, which ran this, is gone\).*Everything has stopped\./s.test(npm.output()));
  });
});
