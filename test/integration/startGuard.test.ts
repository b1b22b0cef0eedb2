// Operations that end their worker (I5): starts without an end are found, tried one by one, and given up after three. That a worker really
// dies is the chaos suite's business (scenario 17); here its death is a start that nobody ends.
import { expect } from 'chai';
import { v7 as newUuid } from 'uuid';
import { createLogger } from '../../src/logger.js';
import { readStartMark } from '../../src/storage/applyStarts.js';
import { createServerClock } from '../../src/sync/clock.js';
import { type ApplyDeps, applyWorkspace } from '../../workers/applyWorkspace.js';
import { createStartGuard, STARTS_MAX } from '../../workers/startGuard.js';
import { refuseTitles } from '../support/faults.js';
import { createItem, newId } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';

const WORKSPACE = 'default';
const logger = createLogger({ level: 'error', process: 'test' });

describe('operations whose application has not ended', () => {
  let system: System;
  /** Ids of the operations that were marked, start by start. */
  let starts: number[][];
  let deps: ApplyDeps;
  before(async () => {
    system = await startSystem(import.meta.url, { workers: 0 });
    const guard = createStartGuard(system.database, logger);
    deps = {
      database: system.database,
      logger,
      retry: { baseMs: 60_000, capMs: 60_000 },
      strategy: 'lww',
      transactionSize: 100,
      nowMicros: createServerClock(Date.now).nowMicros,
      random: () => 0.9,
      newServerId: newUuid,
      startGuard: {
        ...guard,
        begin(workspaceId, ids) {
          starts.push(ids);
          return guard.begin(workspaceId, ids);
        },
      },
      onFailed: () => undefined,
      onApplied: () => undefined,
    };
  });
  beforeEach(() => {
    starts = [];
  });
  after(() => system.stop());

  /** Pushes creates with these titles. @returns their ids in the queue */
  async function accept(titles: string[], isOld: boolean): Promise<number[]> {
    const items = titles.map((title) => createItem(newId('task'), { title }));
    await system.push(items, {}, { prefer: 'respond-async' });
    if (isOld) await system.database.select("UPDATE sync_queue SET created_at = created_at - interval '1 minute'", []);
    const opIds = items.map((item) => item.op_id);
    const rows = await system.database.select<{ id: number }>(
      'SELECT id FROM sync_queue WHERE op_id = ANY($1::text[]) ORDER BY id',
      [opIds],
    );
    return rows.map((row) => row.id);
  }

  const statesOf = (ids: number[]) =>
    system.database.select<{ status: string; error: string | null }>(
      'SELECT status, error FROM sync_queue WHERE id = ANY($1::bigint[]) ORDER BY id',
      [ids],
    );

  it('are marked only when they are old, together, and the mark goes with the commit', async () => {
    // The clock stands still: they stay fresh, however long this takes.
    const nowMicros = deps.nowMicros();
    const fresh = await accept(['a', 'b'], false);
    await applyWorkspace({ ...deps, nowMicros: () => nowMicros }, WORKSPACE, fresh.at(-1) ?? 0, []);
    expect(starts).to.deep.equal([]);
    const old = await accept(['c', 'd'], true);
    await applyWorkspace(deps, WORKSPACE, old.at(-1) ?? 0, []);
    expect(starts).to.deep.equal([old]);
    expect(await readStartMark(system.database, WORKSPACE)).to.equal(undefined);
    expect((await statesOf([...fresh, ...old])).map(({ status }) => status)).to.deep.equal(Array(4).fill('synced'));
  });

  it('are tried one by one after a start without an end, and none fails for it', async () => {
    const ids = await accept(['a', 'b', 'c'], true);
    await deps.startGuard.begin(WORKSPACE, ids);
    starts = [];
    await applyWorkspace(deps, WORKSPACE, ids.at(-1) ?? 0, []);
    expect(starts).to.deep.equal([ids, ids.slice(1, 2), ids.slice(2)]);
    expect((await statesOf(ids)).map(({ status }) => status)).to.deep.equal(['synced', 'synced', 'synced']);
    expect(await readStartMark(system.database, WORKSPACE)).to.equal(undefined);
  });

  it('fail when they were started alone three times without an end; those around them apply, and a retry starts afresh', async () => {
    const [before = 0, culprit = 0, behind = 0] = await accept(['a', 'culprit', 'b'], true);
    const all = [before, culprit, behind];
    await deps.startGuard.begin(WORKSPACE, all);
    await applyWorkspace(deps, WORKSPACE, before, []);
    for (let start = 0; start < STARTS_MAX; start += 1) await deps.startGuard.begin(WORKSPACE, [culprit, behind]);
    await applyWorkspace(deps, WORKSPACE, behind, []);
    const states = await statesOf(all);
    expect(states.map(({ status }) => status)).to.deep.equal(['synced', 'failed', 'synced']);
    expect(states[1]?.error).to.equal('the worker process ended each time it applied this operation (3 starts)');
    await system.request('POST', `/api/sync/queue/${culprit}/retry`, undefined, { prefer: 'respond-async' });
    await applyWorkspace(deps, WORKSPACE, culprit, []);
    expect((await statesOf([culprit])).map(({ status }) => status)).to.deep.equal(['synced']);
  });

  it('that fail with an error are no start without an end', async () => {
    const end = await refuseTitles(system.database, 'Strange', 'P0001');
    const [first = 0, strange = 0, last = 0] = await accept(['a', 'Strange', 'b'], true);
    await applyWorkspace(deps, WORKSPACE, last, []);
    await end();
    const states = await statesOf([first, strange, last]);
    expect(states.map(({ status }) => status)).to.deep.equal(['synced', 'pending', 'synced']);
    expect(await readStartMark(system.database, WORKSPACE)).to.equal(undefined);
    // Halved as without marks, never tried one by one for it.
    expect(starts[0]).to.deep.equal([first, strange, last]);
    await system.database.select('UPDATE sync_queue SET next_attempt_at = NULL', []);
    await applyWorkspace(deps, WORKSPACE, last, []);
    expect((await statesOf([strange])).map(({ status }) => status)).to.deep.equal(['synced']);
  });
});
