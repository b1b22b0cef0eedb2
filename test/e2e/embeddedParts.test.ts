// The parts of `npm start` that a whole start does not reach: other ways to run PostgreSQL as root, stale locks, children that cannot live.
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type Child, spawnChild } from '../../src/embedded/child.js';
import { createChildRecords, stopLeftovers } from '../../src/embedded/childRecords.js';
import { lockFolder } from '../../src/embedded/folderLock.js';
import { claimPort } from '../../src/embedded/ports.js';
import { startPostgres } from '../../src/embedded/postgres.js';
import type { RunMode } from '../../src/embedded/postgresRunner.js';
import { identifyProcess, isRunning } from '../../src/embedded/processIdentity.js';
import { findRedis, startRedis } from '../../src/embedded/redis.js';
import { superviseChild } from '../../src/embedded/supervise.js';
import { findAccount } from '../../src/embedded/systemAccount.js';
import { plainEnvironment, testBackend } from '../support/environment.js';
import { createTestFolder, type TestFolder } from '../support/folders.js';
import { freePort } from '../support/ports.js';
import { queryDatabase } from '../support/postgres.js';
import { canStartRedis } from '../support/redis.js';

const env = plainEnvironment();
const isRoot = process.getuid?.() === 0;

if (testBackend === 'postgres') {
  describe('the embedded PostgreSQL', () => {
    let folder: TestFolder;
    let said: string[];
    const children: Child[] = [];
    const start = (dataDir: string, modes?: RunMode[]) =>
      startPostgres({
        dataDir,
        logFile: join(folder.path, 'postgres.log'),
        env,
        durable: false,
        track: (child) => children.push(child),
        say: (line) => said.push(line),
        signal: new AbortController().signal,
        sharedFolder: join(folder.path, 'shared'),
        ...(modes && { modes }),
      });

    beforeEach(() => {
      folder = createTestFolder('parts');
      said = [];
    });
    afterEach(async () => {
      for (const child of children.splice(0)) await child.stop(5_000);
      await folder.remove();
    });

    it('commits to disk, listens on loopback with a password and speaks UTF-8', async () => {
      const dataDir = join(folder.path, 'durable');
      mkdirSync(dataDir);
      const log = join(folder.path, 'durable.log');
      const signal = new AbortController().signal;
      const track = (child: Child) => children.push(child);
      const server = await startPostgres({ dataDir, logFile: log, env, track, say: () => undefined, signal });
      const settings = await queryDatabase<{ name: string; setting: string }>(
        server.url,
        'SELECT name, setting FROM pg_settings WHERE name = ANY($1)',
        [
          [
            'fsync',
            'synchronous_commit',
            'full_page_writes',
            'listen_addresses',
            'unix_socket_directories',
            'server_encoding',
          ],
        ],
      );
      expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).to.deep.equal({
        fsync: 'on',
        synchronous_commit: 'on',
        full_page_writes: 'on',
        listen_addresses: '127.0.0.1',
        unix_socket_directories: '',
        server_encoding: 'UTF8',
      });
      const wrong = new URL(server.url);
      wrong.password = 'wrong';
      const refused = await queryDatabase(wrong.href, 'SELECT 1').catch((error: { code: string }) => error.code);
      expect(refused).to.equal('28P01');
    });

    it('does not take a pid that belongs to another program today for a running server', async () => {
      const server = await start(folder.path);
      await server.child.stop(5_000);
      // As a power cut leaves it, with the pid given to somebody else since.
      writeFileSync(join(server.dataFolder, 'postmaster.pid'), `${process.pid}\n${server.dataFolder}\n1\n1\n\n\n`);
      const again = await start(folder.path);
      expect(await queryDatabase(again.url, 'SELECT 1 AS one')).to.deep.equal([{ one: 1 }]);
    });

    it('says so when its password file is gone', async () => {
      const server = await start(folder.path);
      await server.child.stop(5_000);
      writeFileSync(join(folder.path, 'postgres.password'), 'another');
      const fault = await start(folder.path).catch((error: Error) => error.message);
      expect(fault).to.match(/The password in postgres.password does not fit/);
    });

    it('makes a half-made data folder anew', async () => {
      mkdirSync(join(folder.path, 'postgres.new', 'data', 'base'), { recursive: true });
      const server = await start(folder.path);
      expect(await queryDatabase(server.url, 'SELECT 1 AS one')).to.deep.equal([{ one: 1 }]);
      expect(existsSync(join(folder.path, 'postgres.new'))).to.equal(false);
    });

    it('ends its start when it is told to', async () => {
      const controller = new AbortController();
      const started = startPostgres({
        dataDir: folder.path,
        logFile: join(folder.path, 'postgres.log'),
        env,
        track: (child) => {
          children.push(child);
          setTimeout(() => controller.abort(new Error('enough')), 200);
        },
        say: () => undefined,
        signal: controller.signal,
      });
      expect(await started.then(String, (error: Error) => error.message)).to.equal('enough');
      expect(children.filter((child) => !child.hasExited())).to.deep.equal([]);
    });

    // Only root has these ways, and a test does not make a system user.
    if (isRoot && findAccount('postgres') !== undefined) {
      it('runs as a system user where root may not have a namespace, with the data where it belongs', async () => {
        const server = await start(folder.path, ['account']);
        expect(said.join()).to.match(/runs as the system user postgres\b/);
        expect(server.dataFolder).to.equal(join(folder.path, 'postgres'));
        expect(statSync(server.dataFolder).uid).to.equal(findAccount('postgres')?.uid);
        expect(readFileSync(`/proc/${server.child.pid}/status`, 'utf8')).to.match(
          new RegExp(`^Uid:\\s+${findAccount('postgres')?.uid}\\s`, 'm'),
        );
      });

      it('puts the data where that user can reach it, and finds it again in every way of starting', async () => {
        const dataDir = join(folder.path, 'private');
        mkdirSync(dataDir, { mode: 0o700 });
        const first = await start(dataDir, ['account']);
        expect(said.join()).to.include(`its data is in ${first.dataFolder}, because that user cannot reach ${dataDir}`);
        expect(first.dataFolder.startsWith(join(folder.path, 'shared'))).to.equal(true);
        expect(lstatSync(join(dataDir, 'postgres')).isSymbolicLink()).to.equal(true);
        await queryDatabase(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
        await first.child.stop(5_000);
        for (const modes of [['namespace', 'account'], ['account']] satisfies RunMode[][]) {
          const next = await start(dataDir, modes);
          expect(await queryDatabase(next.url, 'SELECT answer FROM kept')).to.deep.equal([{ answer: 42 }]);
          await next.child.stop(5_000);
        }
      });
    }
  });

  describe('the lock of a data folder', () => {
    let folder: TestFolder;
    beforeEach(() => {
      folder = createTestFolder('lock');
    });
    afterEach(() => folder.remove());

    it('is refused while its holder runs, and free after', () => {
      const release = lockFolder(folder.path);
      expect(() => lockFolder(folder.path)).to.throw(`process ${process.pid}`);
      release();
      lockFolder(folder.path)();
      expect(readdirSync(folder.path)).to.deep.equal([]);
    });

    for (const [what, content] of [
      ['a process that is gone', JSON.stringify({ pid: 2 ** 22 + 1, started: 'x' })],
      ['a pid that another process has today', JSON.stringify({ pid: process.pid, started: 'another boot 1' })],
      ['a power cut in the middle of writing', '{"pid":'],
      ['nobody', ''],
    ] as const) {
      it(`is taken over from ${what}`, () => {
        writeFileSync(join(folder.path, 'launcher.lock'), content);
        lockFolder(folder.path)();
        expect(readdirSync(folder.path)).to.deep.equal([]);
      });
    }
  });

  describe('processes that a killed launcher left behind', () => {
    let folder: TestFolder;
    beforeEach(() => {
      folder = createTestFolder('leftovers');
    });
    afterEach(() => folder.remove());

    it('are stopped, and nothing else is', async () => {
      const said: string[] = [];
      const left = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true });
      const record = identifyProcess(left.pid ?? 0);
      if (record === undefined) throw new Error('the process did not start');
      const stranger = { pid: process.pid, started: 'another boot 1' };
      const records = [
        { ...record, name: 'Redis', stopSignal: 'SIGTERM' },
        { ...stranger, name: 'PostgreSQL', stopSignal: 'SIGINT' },
      ];
      writeFileSync(join(folder.path, 'children.json'), JSON.stringify(records));
      await stopLeftovers(folder.path, 2_000, (line) => said.push(line));
      expect(isRunning(record)).to.equal(false);
      expect(said).to.deep.equal([
        `Stopped Redis (process ${record.pid}), left behind by an earlier start that was killed.`,
      ]);
    });

    it('are killed when they do not listen', async () => {
      const deaf = spawn(process.execPath, [
        '-e',
        "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')",
      ]);
      await new Promise((resolve) => deaf.stdout.once('data', resolve));
      const record = identifyProcess(deaf.pid ?? 0);
      if (record === undefined) throw new Error('the process did not start');
      writeFileSync(
        join(folder.path, 'children.json'),
        JSON.stringify([{ ...record, name: 'X', stopSignal: 'SIGTERM' }]),
      );
      await stopLeftovers(folder.path, 100, () => undefined);
      expect(isRunning(record)).to.equal(false);
    });

    it('are killed at the latest when the launcher exits', async () => {
      const records = createChildRecords(folder.path);
      const child = startScript(folder.path, "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)");
      records.add(child);
      records.killAll();
      expect(await child.exited).to.equal('signal SIGKILL');
    });
  });

  describe('a supervised child', () => {
    let folder: TestFolder;
    beforeEach(() => {
      folder = createTestFolder('supervised');
    });
    afterEach(() => folder.remove());

    it('that ends again and again without coming up is given up', async () => {
      const said: string[] = [];
      const startDying = () => startScript(folder.path, 'process.exit(7)');
      const fault = await new Promise<Error>((resolve) => {
        superviseChild({
          child: startDying(),
          start: startDying,
          logFile: 'some.log',
          say: (line) => said.push(line),
          giveUp: resolve,
        });
      });
      expect(fault.message).to.equal('The script ended 5 times without coming up (exit code 7). Its log is some.log');
      const waits = said.map((line) => line.match(/again in ([\d.]+) s/)?.[1]);
      expect(waits).to.deep.equal(['0.25', '0.5', '1', '2']);
    });

    it('is not started again once it is to stop', async () => {
      let starts = 0;
      const start = () => {
        starts += 1;
        return startScript(folder.path, 'setInterval(() => {}, 1000)');
      };
      const supervised = superviseChild({
        child: start(),
        start,
        logFile: 'some.log',
        say: () => undefined,
        giveUp: () => undefined,
      });
      await supervised.stop(5_000);
      await sleep(400);
      expect(starts).to.equal(1);
    });

    it('that cannot be started has exited, with the reason', async () => {
      const child = spawnChild({
        name: 'Nothing',
        command: join(folder.path, 'no-such-program'),
        parameters: [],
        env,
        logFile: join(folder.path, 'log'),
        stopSignal: 'SIGTERM',
      });
      expect(await child.exited).to.match(/ENOENT/);
      expect(await child.stop(1_000)).to.equal('stopped');
    });
  });

  describe('a wanted port', () => {
    it('is given where it is free, and any free one for 0', async () => {
      const port = await freePort();
      expect(await claimPort('127.0.0.1', port)).to.equal(port);
      expect(await claimPort('127.0.0.1', 0)).to.be.above(0);
    });

    it('is refused on an address that this machine does not have', async () => {
      const fault = await claimPort('192.0.2.1', await freePort()).catch((error: Error) => error.message);
      expect(fault).to.match(/HOST=192\.0\.2\.1 is no address of this machine/);
    });
  });
}

if (testBackend === 'redis' && canStartRedis()) {
  describe('the embedded Redis', () => {
    it('starts without its data where that cannot be read, and keeps it aside', async () => {
      const folder = createTestFolder('redis');
      const aof = join(folder.path, 'redis', 'appendonlydir');
      mkdirSync(aof, { recursive: true });
      writeFileSync(join(aof, 'appendonly.aof.manifest'), 'no manifest\n');
      const said: string[] = [];
      const program = findRedis(env.PATH ?? '');
      if (typeof program === 'string') throw new Error(program);
      const server = await startRedis({
        program,
        dataDir: folder.path,
        logFile: join(folder.path, 'redis.log'),
        env,
        track: () => undefined,
        say: (line) => said.push(line),
        signal: new AbortController().signal,
      });
      expect(said.join()).to.match(/Redis does not start.*nothing is lost, the truth is in PostgreSQL/s);
      expect(existsSync(join(folder.path, 'redis.unreadable', 'appendonlydir'))).to.equal(true);
      const config = readFileSync(join(folder.path, 'redis', 'redis.conf'), 'utf8');
      expect(config)
        .to.match(/^appendonly yes$/m)
        .and.to.match(/^maxmemory-policy noeviction$/m);
      expect(statSync(join(folder.path, 'redis', 'redis.conf')).mode & 0o077).to.equal(0);
      await server.child.stop(5_000);
      await folder.remove();
    });
  });
}

function startScript(folder: string, script: string): Child {
  return spawnChild({
    name: 'The script',
    command: process.execPath,
    parameters: ['-e', script],
    env,
    logFile: join(folder, 'script.log'),
    stopSignal: 'SIGTERM',
  });
}
