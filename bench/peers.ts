// What stands beside the product in a run. Those from npm are installed by their own package.json and lock when a run first needs them; one
// that cannot be installed or does not start is reported in its place in the tables, and the run has not failed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findFreePort } from '../src/embedded/ports.js';
import type { Bench } from './bench.js';
import { wholeEnvironment } from './environment.js';
import type { MeteredProcess } from './meter.js';
import { ROOT_FOLDER, startProcess } from './processes.js';
import { createDatabase } from './servers.js';
import { prepareStack } from './stack.js';

export interface Peer {
  url: string;
  processes: MeteredProcess[];
}

const FOLDER = join(ROOT_FOLDER, 'bench', 'peers');
const INSTALL_LIMIT_MS = 300_000;
const UP_LIMIT_MS = 120_000;
const isUp = (log: string) => log.includes('peer is up');

/** @throws an Error that says why they are not there */
function requireInstalled(bench: Bench) {
  const installed = join(FOLDER, 'node_modules', '.package-lock.json');
  const lock = join(FOLDER, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  if (bench.settings.isQuick)
    throw new Error('not installed, and --quick installs nothing (npm ci --prefix bench/peers)');
  bench.say('Installing the peers (npm ci --prefix bench/peers) ...');
  // The whole environment: how npm reaches its registry is said there.
  const npm = spawnSync('npm', ['ci', '--prefix', FOLDER, '--no-audit'], {
    env: wholeEnvironment,
    encoding: 'utf8',
    timeout: INSTALL_LIMIT_MS,
    shell: process.platform === 'win32',
  });
  if (npm.status !== 0)
    throw new Error(`npm ci --prefix bench/peers failed: ${(npm.stderr || String(npm.error)).slice(-300).trim()}`);
}

/** PouchDB server or RxDB server, holding `fill` tasks. @throws an Error that says why it is not there */
export async function startNpmPeer(bench: Bench, name: 'pouchdb' | 'rxdb', fill = 0): Promise<Peer> {
  requireInstalled(bench);
  const port = await findFreePort();
  const folder = join(bench.servers.folder, `${name}-${fill}`);
  mkdirSync(folder);
  return startPeer(bench, `${name} ${fill}`, join(FOLDER, `${name}.mjs`), { port, folder, fill });
}

/** Express and Sequelize, an operation after the other. */
export async function startNaive(bench: Bench): Promise<Peer> {
  const databaseUrl = await createDatabase(bench.servers, 'naive');
  return startPeer(bench, 'naive', 'bench/peers/naive.js', { port: await findFreePort(), databaseUrl });
}

/** The product's code without a queue, on a database of its own. */
export async function startWithoutQueue(bench: Bench): Promise<Peer> {
  const { env } = await prepareStack(bench, { name: 'without_queue' });
  return startPeer(bench, 'without queue', 'bench/peers/withoutQueue.js', { port: await findFreePort(), env });
}

interface PeerOptions extends Record<string, unknown> {
  port: number;
}

async function startPeer(bench: Bench, name: string, file: string, options: PeerOptions): Promise<Peer> {
  const started = startProcess(bench, {
    name,
    file,
    env: { NODE_ENV: 'production' },
    parameters: [JSON.stringify(options)],
  });
  await started.waitUntil(isUp, UP_LIMIT_MS);
  return { url: `http://127.0.0.1:${options.port}`, processes: [{ name: 'peer', pid: started.pid }] };
}
