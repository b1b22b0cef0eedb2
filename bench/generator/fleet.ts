// A fleet: devices with a connection each, made once and kept over the rounds, because what a device knows (revisions, its own last edits)
// belongs to the tasks on the server.
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from './connection.js';
import { createCrudRequests } from './crud.js';
import { createDevice } from './devices.js';
import { type Exchange, type Fleet, NOTHING } from './jobs.js';
import { createStream, type Stream } from './operations.js';
import { connectSql, createRawTables } from './rawSql.js';

/** Tasks of a fleet that brings its own; each device needs twice a batch of them for itself. */
const OWN_TASKS = 1_000;
const PREPARED_AT_ONCE = 100;
const PREPARATION_TRIES = 100;
const REFUSED_PAUSE_MS = 200;

/** One exchange after the other. */
export interface Worker {
  /** Makes the device's tasks. @throws an Error with the first fault */
  prepare(): Promise<void>;
  exchange(): Promise<Exchange>;
}

/** Opens the connections and makes the tasks. @throws an Error with the first fault */
export async function openFleet(fleet: Fleet): Promise<Worker[]> {
  if (fleet.target.protocol === 'sql') await createRawTables(fleet.target.databaseUrl);
  const workers: Worker[] = [];
  for (let number = 0; number < fleet.connections; number += 1) workers.push(await openWorker(fleet, number));
  if (fleet.existing === undefined) await Promise.all(workers.map((worker) => worker.prepare()));
  return workers;
}

async function openWorker(fleet: Fleet, number: number): Promise<Worker> {
  const clientId = `${fleet.id}-${number}`;
  const stream = createStream(clientId, fleet.workload, taskIdsOf(fleet, number));
  const { target } = fleet;
  if (target.protocol === 'sql') {
    const { push } = await connectSql(target.databaseUrl);
    return workerOn(stream, fleet.batch, push);
  }
  const connection = connect(target.url);
  if (target.protocol === 'crud') {
    const next = createCrudRequests(target.action, clientId, stream.taskIds);
    const read = () => ({ ...NOTHING, settled: 1 });
    const writer = createDevice('taskSync');
    return {
      ...workerOn(stream, 1, (batch) => connection.exchange(writer.write(batch), (text) => writer.read(batch, text))),
      exchange: () => connection.exchange(next(), read),
    };
  }
  const device = createDevice(target.protocol);
  return workerOn(stream, fleet.batch, (batch) =>
    connection.exchange(device.write(batch), (text) => device.read(batch, text)),
  );
}

function workerOn(
  stream: Stream,
  batch: number,
  send: (batch: ReturnType<Stream['next']>) => Promise<Exchange>,
): Worker {
  return {
    async prepare() {
      for (const operations of stream.preparation(PREPARED_AT_ONCE)) {
        let made = await send(operations);
        // All devices begin at once, with large batches: what the server cannot take on it refuses, and nothing of it is stored.
        for (let tries = 1; made.refused > 0 && tries < PREPARATION_TRIES; tries += 1) {
          await sleep(REFUSED_PAUSE_MS);
          made = await send(operations);
        }
        if (made.settled < operations.length)
          throw new Error(`the tasks could not be made: ${made.fault ?? 'not all were settled'}`);
      }
    },
    exchange: () => send(stream.next(batch)),
  };
}

/** Every device has tasks of its own: of the existing ones those that leave its number when divided by the number of devices. */
function taskIdsOf({ id, existing, connections, batch }: Fleet, number: number): string[] {
  if (existing === undefined) {
    const count = Math.max(Math.ceil(OWN_TASKS / connections), 2 * batch + 1);
    return Array.from({ length: count }, (_, index) => `${id}-${number}-task-${index}`);
  }
  const count = Math.floor(existing.count / connections);
  return Array.from({ length: count }, (_, index) => `${existing.prefix}-${index * connections + number + 1}`);
}
