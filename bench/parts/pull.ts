// Part 3: reading a workspace, all of it and what changed, beside the peers and beside PostgreSQL's own COPY of the same JSON.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Bench, measureVariants, type Variant } from '../bench.js';
import { plainEnvironment } from '../environment.js';
import { fillWorkspace } from '../fill.js';
import type { Pull } from '../generator/jobs.js';
import type { MeteredProcess } from '../meter.js';
import { startNpmPeer } from '../peers.js';
import { startStack } from '../stack.js';
import { GRACE_MS, metricsOf, once } from '../variants.js';

interface Source {
  pull: Pull;
  processes: readonly MeteredProcess[];
}

const CLIENTS = [1, 8];

export function measurePull(bench: Bench): Promise<void> {
  return measureVariants(
    bench,
    bench.settings.pullSizes.flatMap((size) => variantsOf(bench, size)),
  );
}

function variantsOf(bench: Bench, size: number): Variant[] {
  const fill = (databaseUrl: string) => fillWorkspace(databaseUrl, { tasks: size, operations: size });
  const product = once(() => startStack(bench, { name: `pull_${size}`, fill }));
  const fromProduct = (protocol: 'pages' | 'lines' | 'delta') => async (): Promise<Source> => {
    const { url, processes } = await product();
    return { pull: { protocol, url }, processes };
  };
  const copy = async (): Promise<Source> => {
    const psql = findPsql();
    if (psql === undefined) throw new Error('there is no psql on PATH');
    return { pull: { protocol: 'copy', psql, databaseUrl: (await product()).databaseUrl }, processes: [] };
  };
  const fromPeer = (protocol: 'pouchdb' | 'rxdb') =>
    once(async (): Promise<Source> => {
      const { url, processes } = await startNpmPeer(bench, protocol, size);
      return { pull: { protocol, url }, processes };
    });
  const sources = [
    { key: 'lines', name: 'Task Sync, bootstrap as lines', isOurs: true, start: fromProduct('lines') },
    { key: 'pages', name: 'Task Sync, bootstrap in pages', isOurs: true, start: fromProduct('pages') },
    { key: 'copy', name: 'COPY through psql', isOurs: false, start: copy },
    ...(size > bench.settings.peerTasksMax
      ? []
      : [
          { key: 'rxdb', name: 'RxDB server', isOurs: false, start: fromPeer('rxdb') },
          { key: 'pouchdb', name: 'PouchDB server', isOurs: false, start: fromPeer('pouchdb') },
        ]),
    { key: 'delta', name: 'Task Sync, the last changes', isOurs: true, start: fromProduct('delta') },
  ];
  return sources.flatMap(({ key, name, isOurs, start }) =>
    CLIENTS.map((clients) => ({
      key: `${key}-${size}x${clients}`,
      label: `${name}, ${size.toLocaleString('en')} tasks, ${clients} ${clients === 1 ? 'client' : 'clients'}`,
      isOurs,
      prepare: () => preparePull(bench, start, clients),
    })),
  );
}

async function preparePull(bench: Bench, start: () => Promise<Source>, clients: number) {
  const { pull, processes } = await start();
  const { warmUpMs, measureMs } = bench.settings;
  const metered = [...bench.servers.processes, ...processes];
  return async () => {
    const job = { kind: 'pull', pull, clients, warmUpMs, measureMs } as const;
    return metricsOf(await bench.generator.run(job, metered, warmUpMs + measureMs + GRACE_MS));
  };
}

function findPsql(): string | undefined {
  const folders = (plainEnvironment.PATH ?? '').split(delimiter).filter((each) => each !== '');
  return folders.map((folder) => join(folder, 'psql')).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
