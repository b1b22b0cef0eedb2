// Twenty phones with bad networks and wrong clocks: they edit offline, come online when they like, lose answers and send again. At the
// end every device, the server and a new device hold the same tasks, and every edit was answered once (I1 to I4, I6).
//   TEST_SEED=123 npm test -- test/e2e/devices        with the seed that a run has printed
// The seed fixes who is online when, how requests are cut, split and lost, and what users do with what they see. What they see depends
// on the pace of the processes too, so a replay is alike, not identical.
import { randomInt } from 'node:crypto';
import { expect } from 'chai';
import {
  CONFLICT_STRATEGIES,
  type ConflictStrategy,
  foldOperations,
  type OperationKind,
} from '../../src/sync/merge.js';
import { fieldsOf } from '../../src/sync/operation.js';
import { type RunningCluster, startProcesses } from '../support/cluster.js';
import { createDevice, type Device } from '../support/device.js';
import { digestOf } from '../support/digest.js';
import { runnerEnvironment } from '../support/environment.js';
import { createRandom } from '../support/oracle.js';
import { queryDatabase } from '../support/postgres.js';

const DEVICES = 20;
const ROUNDS = 10;
const EDITS_A_ROUND = 20;
const SHARED_TASKS = 40;
const ROUND_MS = 60_000;

/** All devices live for some rounds, each online in about half of them. */
async function live(devices: Device[], random: () => number) {
  const startMs = Date.now() - 24 * 3_600_000;
  const upTo = (limit: number) => Math.floor(random() * limit);
  for (let round = 0; round < ROUNDS; round += 1) {
    await Promise.all(
      devices.map((device) => {
        const editTimes = Array.from({ length: upTo(EDITS_A_ROUND + 1) }, () => round * ROUND_MS + upTo(ROUND_MS)).sort(
          (a, b) => a - b,
        );
        for (const time of editTimes) device.edit(startMs + time);
        const steps = random() < 0.5 ? 0 : 2 + upTo(4);
        return goOnline(
          device,
          Array.from({ length: steps }, () => ({ kind: random(), size: 1 + upTo(60), loss: random(), wait: random() })),
        );
      }),
    );
  }
}

/** One device's time online: pushes and pulls of random sizes, some of them lost. */
async function goOnline(device: Device, steps: { kind: number; size: number; loss: number; wait: number }[]) {
  for (const { kind, size, loss, wait } of steps) {
    if (kind < 0.4) await device.pull(size, loss < 0.15 ? 'ignored' : 'none');
    else {
      const prefer = wait < 0.4 ? 'respond-async' : 'wait=2';
      await device.push(size, prefer, loss < 0.15 ? 'ignored' : loss < 0.35 ? 'aborted' : 'none');
    }
  }
}

async function comeHome(devices: Device[]) {
  const atOnce = <Result>(what: (device: Device) => Promise<Result>) => Promise.all(devices.map(what));
  await atOnce(async (device) => {
    while (device.outbox.length > 0) await device.push(200, 'wait=20');
  });
  await atOnce(async (device) => {
    while (await device.pull(200));
  });
}

/** The log is the truth about what was accepted: every edit once, with the outcome that its device was told. */
async function expectAnswersOf(databaseUrl: string, devices: Device[]) {
  const log = await queryDatabase<{ op_id: string; outcome: string; status: string }>(
    databaseUrl,
    'SELECT op_id, outcome, status FROM sync_queue',
  );
  const told = devices.flatMap(({ edits, answers }) => edits.map(({ op_id }) => [op_id, answers.get(op_id), 'synced']));
  expect(log.map(({ op_id, outcome, status }) => [op_id, outcome, status])).to.have.deep.members(told);
}

interface Effect {
  client_id: string;
  op_id: string;
  operation: OperationKind;
  task_id: string;
  task_data: Record<string, unknown>;
  updated_at: string;
  seq: number;
}

/** The effects, in their order, count 1, 2, 3 ... and make the tasks that the table holds; none of the latest edits lost. */
async function expectEffectsOf(databaseUrl: string, strategy: ConflictStrategy) {
  const effects = await queryDatabase<Effect>(
    databaseUrl,
    `SELECT client_id, op_id, operation, task_id, task_data, seq::int,
       to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS updated_at
     FROM sync_queue WHERE seq IS NOT NULL ORDER BY seq`,
  );
  expect(effects.map(({ seq }) => seq)).to.deep.equal(effects.map((_, index) => index + 1));
  const [workspace] = await queryDatabase<{ seq: number }>(databaseUrl, 'SELECT seq::int FROM workspaces');
  expect(workspace?.seq).to.equal(effects.length);
  const { changed } = foldOperations({
    tasks: new Map(),
    operations: effects.map((effect) => ({
      clientId: effect.client_id,
      opId: effect.op_id,
      kind: effect.operation,
      taskId: effect.task_id,
      fields: fieldsOf(effect.task_data),
      updatedAt: effect.updated_at,
    })),
    seq: 0,
    now: '',
    newServerId: () => '',
    strategy,
  });
  const tasks = await queryDatabase(
    databaseUrl,
    'SELECT id, title, description, completed, deleted, seq::int FROM tasks',
  );
  expect(tasks).to.have.deep.members(
    changed.map(({ id, title, description, completed, deleted, seq }) => ({
      id,
      title,
      description,
      completed,
      deleted,
      seq,
    })),
  );
  const beaten = await queryDatabase(
    databaseUrl,
    `SELECT q.op_id FROM sync_queue q JOIN tasks t ON t.id = q.task_id
     WHERE q.outcome <> 'not_found' AND (q.updated_at, q.client_id, q.op_id) > (t.updated_at, t.updated_by, t.op_id)`,
  );
  expect(beaten).to.deep.equal([]);
}

async function expectAllEqual(cluster: RunningCluster, devices: Device[]) {
  const random = createRandom(0);
  const newcomer = createDevice({ name: 'newcomer', urls: cluster.urls, random, sharedIds: [] });
  while (await newcomer.pull(150));
  const tasks = newcomer.tasks();
  const rows = await queryDatabase(
    cluster.database.url,
    'SELECT id, title, description, completed, deleted, seq::int FROM tasks WHERE NOT deleted ORDER BY id COLLATE "C"',
  );
  expect(tasks).to.deep.equal(rows);
  const answer = await fetch(`${cluster.urls[0]}/api/sync/digest`, { headers: { connection: 'close' } });
  const digest = JSON.parse(await answer.text());
  for (const device of [newcomer, ...devices]) {
    expect(device.tasks(), device.name).to.deep.equal(tasks);
    expect({ buckets: digestOf(device.tasks()), cursor: device.cursor() }, device.name).to.deep.equal({
      buckets: digest.buckets,
      cursor: digest.cursor,
    });
  }
}

describe('twenty devices, on- and offline', () => {
  for (const strategy of CONFLICT_STRATEGIES) {
    it(`end with the same tasks as the server, strategy ${strategy}`, async () => {
      const seed = Number(runnerEnvironment.TEST_SEED ?? randomInt(1_000_000));
      const cluster = await startProcesses(import.meta.url, {
        apis: 2,
        workers: 2,
        env: { CONFLICT_STRATEGY: strategy },
      });
      const sharedIds = Array.from({ length: SHARED_TASKS }, (_, index) => `shared-${index}`);
      const devices = Array.from({ length: DEVICES }, (_, index) => {
        const random = createRandom(seed + index + 1);
        return createDevice({ name: `device-${index}`, urls: cluster.urls, random, sharedIds });
      });
      process.stdout.write(`      seed ${seed}`);
      await live(devices, createRandom(seed));
      await comeHome(devices);
      const count = devices.reduce((sum, { edits }) => sum + edits.length, 0);
      process.stdout.write(`: ${count} operations on ${devices[0]?.tasks().length} tasks\n`);
      await expectAnswersOf(cluster.database.url, devices);
      await expectEffectsOf(cluster.database.url, strategy);
      await expectAllEqual(cluster, devices);
      await cluster.stop();
    });
  }
});
