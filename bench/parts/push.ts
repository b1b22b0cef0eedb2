// Part 1 and 7: pushes, one thing varied at a time around 50 mixed operations a request on 8 connections, and the same work on the peers.
import { type Bench, measureVariants } from '../bench.js';
import type { Workload } from '../generator/jobs.js';
import { createSystems } from '../systems.js';
import { fleetVariant, type Running } from '../variants.js';

const WORDS: Record<Workload, string> = {
  create: 'creates',
  update: 'updates that win',
  stale: 'updates that lose',
  mixed: 'mixed day',
  resend: 'resends',
};

export function measurePush(bench: Bench): Promise<void> {
  const systems = createSystems(bench);
  const push = (
    system: { name: string; key: string; start: () => Promise<Running>; isOurs?: boolean },
    workload: Workload,
    batch: number,
    connections: number,
  ) =>
    fleetVariant(bench, {
      key: `${system.key}-${workload}-${batch}x${connections}`,
      label: `${system.name}: ${WORDS[workload]}, ${batch} x ${connections}`,
      isOurs: system.isOurs ?? false,
      start: system.start,
      batch,
      connections,
      workload,
    });
  const ours = { name: 'Task Sync', key: 'ours', start: systems.product(), isOurs: true };
  const twoWorkers = { name: 'Task Sync, 2 workers', key: 'ours-2w', start: systems.product(2), isOurs: true };
  const fourWorkers = { name: 'Task Sync, 4 workers', key: 'ours-4w', start: systems.product(4), isOurs: true };
  const onPostgres = {
    name: 'Task Sync, queue on PostgreSQL',
    key: 'ours-pg',
    start: systems.productOnPostgres,
    isOurs: true,
  };
  const withoutQueue = {
    name: 'the same code without a queue',
    key: 'without-queue',
    start: systems.withoutQueue,
    isOurs: true,
  };
  const naive = { name: 'naive', key: 'naive', start: systems.naive, isOurs: true };
  const pouchdb = { name: 'PouchDB server', key: 'pouchdb', start: systems.pouchdb };
  const rxdb = { name: 'RxDB server', key: 'rxdb', start: systems.rxdb };
  const rawSql = { name: 'one SQL statement', key: 'raw', start: systems.rawSql, isOurs: true };
  const central = [
    push(ours, 'mixed', 50, 8),
    push(naive, 'mixed', 50, 8),
    push(pouchdb, 'mixed', 50, 8),
    push(rxdb, 'mixed', 50, 8),
    push(rawSql, 'mixed', 50, 4),
    push(onPostgres, 'mixed', 50, 8),
    push(ours, 'create', 50, 8),
    push(rxdb, 'create', 50, 8),
    push(pouchdb, 'create', 50, 8),
    push(ours, 'update', 50, 8),
    push(rxdb, 'update', 50, 8),
    push(pouchdb, 'update', 50, 8),
    push(ours, 'stale', 50, 8),
    push(ours, 'resend', 50, 8),
    push(ours, 'mixed', 1, 64),
    push(naive, 'mixed', 1, 64),
    push(ours, 'mixed', 50, 32),
    push(withoutQueue, 'mixed', 50, 32),
    push(twoWorkers, 'mixed', 50, 8),
  ];
  const others = [
    push(ours, 'mixed', 1, 8),
    push(ours, 'mixed', 10, 8),
    push(ours, 'mixed', 500, 8),
    push(ours, 'mixed', 50, 1),
    push(ours, 'mixed', 50, 64),
    push(fourWorkers, 'mixed', 50, 8),
  ];
  return measureVariants(bench, bench.settings.isQuick ? central : [...central, ...others]);
}
