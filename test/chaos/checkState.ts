// The check: what devices were told against what the database holds against what the pure merge says. It returns what is wrong, in words.
//
// The log's ids are given when a batch is stored, and of batches that are stored at the same moment the higher ids may be committed and
// applied first. So the order that is checked is that of the effects (seq), and what had no effect is checked by the rule that says why.
import { foldOperations } from '../../src/sync/merge.js';
import { fieldsOf } from '../../src/sync/operation.js';
import { compareVersions, type Version } from '../../src/sync/version.js';
import { type History, keyOf, type RecordedOperation } from './history.js';
import type { LogRow, State } from './readState.js';

type Violate = (what: string) => void;

/** Compares everything. @returns what must not be, at most a few of each kind */
export function checkState(state: State, history: History): string[] {
  const found = new Map<string, string[]>();
  const violation = (kind: string) => (what: string) => {
    const list = found.get(kind) ?? [];
    found.set(kind, list);
    list.push(what);
  };
  checkLog(state.log, history, violation('log'));
  checkAnswers(state.log, history, violation('answers'));
  checkEffects(state, violation('effects'));
  checkOthers(state.log, history, violation('outcomes'));
  checkWinners(state, violation('winners'));
  if (state.batchesUnfinished > 0) violation('batches')(`${state.batchesUnfinished} batches are not finished`);
  return [...found].flatMap(([kind, list]) => [
    ...list.slice(0, 5).map((each) => `${kind}: ${each}`),
    ...(list.length > 5 ? [`${kind}: and ${list.length - 5} more of this kind`] : []),
  ]);
}

/** Acknowledged operations are in the log once, as they were sent; nothing else is (I1, I2). */
function checkLog(log: readonly LogRow[], history: History, violate: Violate) {
  const rows = new Map<string, LogRow>();
  for (const row of log) {
    const key = keyOf(row.clientId, row.opId);
    if (rows.has(key)) violate(`${row.opId} is stored twice`);
    rows.set(key, row);
    const operation = history.operations.get(key);
    if (operation?.invokedAtMs === undefined) violate(`${row.opId} was never sent`);
    else if (operation.expectation === 'invalid') violate(`${row.opId} is not valid and is stored`);
    else if (!isSame(row, operation)) violate(`${row.opId} is not stored as it was sent`);
  }
  for (const [key, operation] of history.operations) {
    const { item, acknowledgedAtMs, expectation } = operation;
    if (expectation === 'invalid') continue;
    if (acknowledgedAtMs !== undefined && !rows.has(key)) violate(`${item.op_id} was acknowledged and is not stored`);
  }
}

function isSame(row: LogRow, { item }: RecordedOperation): boolean {
  const sorted = (value: object) => JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  return row.operation === item.operation && row.taskId === item.data.id && sorted(row.data) === sorted(item.data);
}

/** Everything is settled, as its device was told; only what is meant to fail has failed. */
function checkAnswers(log: readonly LogRow[], history: History, violate: Violate) {
  for (const row of log) {
    const operation = history.operations.get(keyOf(row.clientId, row.opId));
    if (operation === undefined) continue;
    const wanted = operation.expectation === 'failed' ? 'failed' : 'synced';
    if (row.status !== wanted) violate(`${row.opId} is ${row.status}: ${row.error}`);
    const stored = row.status === 'failed' ? 'error' : row.outcome;
    if (operation.status !== undefined && operation.status !== stored) {
      violate(`the device of ${row.opId} was told ${operation.status}, stored is ${stored}`);
    }
    if (operation.status === undefined && !operation.isAbandoned) violate(`${row.opId} was never answered`);
  }
}

/** The effects count 1, 2, 3 ... and make the tasks that the table holds (I2, I3). */
function checkEffects({ log, tasks, seq, synced }: State, violate: Violate) {
  const effects = log.filter((row) => row.seq !== null).sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
  for (const [index, row] of effects.entries()) {
    if (row.seq !== index + 1) {
      violate(`the effect number ${index + 1} (${row.opId}) has seq ${row.seq}`);
      break;
    }
  }
  if (seq !== effects.length) violate(`seq of the workspace is ${seq}, effects are ${effects.length}`);
  const settled = log.filter((row) => row.status === 'synced').length;
  if (synced !== settled) violate(`the counter synced is ${synced}, settled are ${settled}`);
  const folded = foldOperations({
    tasks: new Map(),
    operations: effects.map(operationOf),
    seq: 0,
    now: '',
    newServerId: () => '',
  });
  for (const [index, { operation, outcome }] of folded.settled.entries()) {
    if (outcome !== 'success' || effects[index]?.outcome !== 'success') {
      violate(`${operation.opId} had an effect; by the rules it is ${outcome}, stored is ${effects[index]?.outcome}`);
    }
  }
  const wanted = new Map(folded.changed.map((task) => [task.id, task]));
  if (wanted.size !== tasks.length) violate(`there are ${tasks.length} tasks, by the rules ${wanted.size}`);
  for (const task of tasks) {
    const { serverId: _, stub: __, lastSyncedAt: ___, fieldVersions: ____, ...rest } = wanted.get(task.id) ?? {};
    const same = Object.entries(task).every(([name, value]) =>
      Object.entries(rest).some(([n, v]) => n === name && v === value),
    );
    if (!same) violate(`task ${task.id} is ${JSON.stringify(task)}, by the rules ${JSON.stringify(rest)}`);
  }
}

/** What had no effect lost to a higher version, or came before its task was there. */
function checkOthers(log: readonly LogRow[], history: History, violate: Violate) {
  const versions = new Map(log.map((row) => [`${row.clientId}\x01${row.opId}`, row]));
  const recordOf = (row: LogRow) => history.operations.get(keyOf(row.clientId, row.opId));
  const creations = new Map<string, LogRow>();
  for (const row of log) {
    const first = creations.get(row.taskId);
    if (row.seq !== null && (first?.seq ?? Number.POSITIVE_INFINITY) > row.seq) creations.set(row.taskId, row);
  }
  for (const row of log) {
    if (row.status !== 'synced' || row.seq !== null) continue;
    if (row.outcome === 'conflict') {
      const winner = row.lostTo === null ? undefined : versions.get(row.lostTo);
      const isRight =
        winner?.seq != null && winner.taskId === row.taskId && compareVersions(versionOf(winner), versionOf(row)) > 0;
      if (!isRight) violate(`${row.opId} is a conflict, but did not lose to ${row.lostTo}`);
    } else if (row.outcome === 'not_found') {
      const creation = creations.get(row.taskId);
      if (row.operation === 'create') violate(`the create ${row.opId} is not_found`);
      if (creation === undefined) continue;
      const knownAt = recordOf(creation)?.answeredAtMs;
      const sentAt = recordOf(row)?.invokedAtMs;
      const isLater = creation.clientId === row.clientId && creation.id < row.id;
      if (isLater || (knownAt !== undefined && sentAt !== undefined && knownAt < sentAt)) {
        violate(`${row.opId} is not_found, though ${creation.opId} had made the task before it was sent`);
      }
    } else violate(`${row.opId} is ${row.outcome} without an effect`);
  }
}

/** Whatever the order was: a task shows the highest version among all operations that found it (I4). */
function checkWinners({ log, tasks }: State, violate: Violate) {
  const highest = new Map<string, LogRow>();
  for (const row of log) {
    if (row.status !== 'synced' || row.outcome === 'not_found') continue;
    const best = highest.get(row.taskId);
    if (best === undefined || compareVersions(versionOf(row), versionOf(best)) > 0) highest.set(row.taskId, row);
  }
  for (const task of tasks) {
    const winner = highest.get(task.id);
    const isWinner =
      winner?.opId === task.opId && winner.clientId === task.updatedBy && winner.updatedAt === task.updatedAt;
    if (!isWinner) violate(`task ${task.id} shows ${task.opId}, the highest version is ${winner?.opId}`);
    else if (task.deleted !== (winner.operation === 'delete')) violate(`task ${task.id}: deleted is ${task.deleted}`);
  }
}

const versionOf = ({ updatedAt, clientId, opId }: LogRow): Version => ({ updatedAt, clientId, opId });

function operationOf(row: LogRow) {
  const { clientId, opId, operation: kind, taskId, updatedAt } = row;
  return { clientId, opId, kind, taskId, updatedAt, fields: fieldsOf(row.data) };
}
