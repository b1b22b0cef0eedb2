// Scenario 17: bad operations in every batch. What is not valid is answered so; what only the database refuses fails alone; one that ends
// the worker process is found and fails after three starts. All others apply (I5).

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { SentItem } from '../../support/oracle.js';
import { queryDatabase } from '../../support/postgres.js';
import { CRASHING_TITLE } from '../crashingTitle.js';
import { pauseUntil } from '../fleet.js';
import type { Expectation } from '../history.js';
import { type Run, runPhases } from '../phases.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { type Place, startStack } from '../stack.js';

const PRELOAD = fileURLToPath(new URL('../preload/endOnTitle.js', import.meta.url));
/** How soon a platform starts a process again that has ended. */
const RESTART_AFTER_MS = 300;
const POLL_MS = 50;
const BAD_RATE = 0.01;

/** Refuses titles as a rule that somebody added to the database would: one for good, one with a code that nobody foresaw. */
const REFUSE = `
CREATE FUNCTION refuse_titles() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF NEW.title = 'refused for good' THEN RAISE EXCEPTION 'this title is refused' USING ERRCODE = '23514'; END IF;
  RAISE EXCEPTION 'nobody knows why' USING ERRCODE = 'P0001';
END $body$;
CREATE TRIGGER refuse_titles BEFORE INSERT OR UPDATE ON tasks FOR EACH ROW
WHEN (NEW.title IN ('refused for good', 'refused in a strange way')) EXECUTE FUNCTION refuse_titles()`;

export const poison: Scenario = {
  number: 17,
  name: 'poison',
  title: '1 % bad operations, and one that ends the worker each time',
  backends: ['redis', 'postgres'],
  options: { durationMs: 60_000, devices: 20, operations: 6_000, apis: 1, workers: 2, rounds: 0 },
  short: { durationMs: 10_000, devices: 6, operations: 600, workers: 1 },
  shortOn: ['redis', 'postgres'],
  async run(context) {
    const workerNodeParameters = ['--import', PRELOAD];
    const stack = await startStack(context, { ...context.options, workerNodeParameters, restartsEnded: true });
    await queryDatabase(stack.databaseUrl, REFUSE);
    let ends = 0;
    const restarting = restartEnded(stack.workers(), () => {
      ends += 1;
    });
    try {
      await runPhases(context, {
        stack,
        load: { spoil: createSpoiler(), abandonRate: 0 },
        async faults(run) {
          await pauseUntil(Date.now() + 1_000 * (1 + context.random()), context.signal);
          await sendCrashing(context, run);
          await pauseUntil(run.until, context.signal);
        },
        check: (run) => {
          context.measures.faults['worker ended by its operation'] = ends;
          return checkCulprit(context, run, ends);
        },
        beforeStop: () => restarting.stop(),
      });
    } finally {
      await restarting.stop();
    }
    await stack.stopServers();
  },
};

/** An edit in a hundred is bad. Bad ones are creates of tasks of their own: whether an update is refused would depend on who came first. */
function createSpoiler() {
  let count = 0;
  return (item: SentItem, random: () => number): { item: SentItem; expectation: Expectation } | undefined => {
    if (random() >= BAD_RATE) return undefined;
    count += 1;
    const id = `bad-${item.client_id}-${count}`;
    const make = (data: object): SentItem => ({ ...item, operation: 'create', data: { ...item.data, id, ...data } });
    const chance = random();
    if (chance < 0.25) return { item: make({ title: '   ' }), expectation: 'invalid' };
    if (chance < 0.5) return { item: make({ title: 'Task', updated_at: 'tomorrow' }), expectation: 'invalid' };
    if (chance < 0.75) return { item: make({ title: 'refused for good' }), expectation: 'failed' };
    return { item: make({ title: 'refused in a strange way' }), expectation: 'failed' };
  };
}

/** One device more, with one batch: good operations before and behind the one that ends the worker. */
async function sendCrashing(context: ScenarioContext, run: Run) {
  const now = Date.now() - 100;
  const items = Array.from({ length: 9 }, (_, index): SentItem => {
    const title = index === 4 ? CRASHING_TITLE : `Beside the culprit ${index}`;
    const data = {
      id: `culprit-${index}`,
      title,
      updated_at: new Date(now + index).toISOString().replace('Z', '000Z'),
    };
    return { client_id: 'culprit', op_id: `culprit-${index}`, operation: 'create', data };
  });
  run.fleet.adopt('culprit', items, (item) => (item.data.title === CRASHING_TITLE ? 'failed' : 'settled'));
  context.countFault('operation that ends the worker');
}

/** Restarts workers that end by themselves, as a platform does. */
function restartEnded(workers: readonly Place[], onEnd: () => void) {
  let isOver = false;
  const loops = workers.map(async (worker) => {
    while (!isOver) {
      if (worker.process().hasExited()) {
        onEnd();
        await sleep(RESTART_AFTER_MS);
        // It may end again before it is ready; then the next round starts it again.
        await worker.start().catch(() => undefined);
      }
      await sleep(POLL_MS);
    }
  });
  return {
    async stop() {
      isOver = true;
      await Promise.all(loops);
    },
  };
}

async function checkCulprit({ measures }: ScenarioContext, { stack }: Run, ends: number): Promise<string[]> {
  const rows = await queryDatabase<{ error: string; tookMs: number }>(
    stack.databaseUrl,
    `SELECT error, 1000 * extract(epoch FROM last_attempted_at - created_at)::float8 AS "tookMs" FROM sync_queue
     WHERE op_id = 'culprit-4' AND status = 'failed'`,
  );
  measures.notes['culprit given up after ms'] = Math.round(rows[0]?.tookMs ?? 0);
  const found: string[] = [];
  const error = rows[0]?.error ?? 'it did not fail';
  if (!error.includes('the worker process ended each time')) found.push(`the culprit: ${error}`);
  // Three starts alone; before them it is tried among others, as long as it has not waited suspiciously long.
  if (ends < 3 || ends > 3 + MOST_STARTS_AMONG_OTHERS) found.push(`the worker ended ${ends} times`);
  const strange = await queryDatabase<{ retryCount: number }>(
    stack.databaseUrl,
    `SELECT retry_count AS "retryCount" FROM sync_queue WHERE status = 'failed' AND error = 'nobody knows why' AND retry_count <> 3`,
  );
  if (strange.length > 0) found.push(`${strange.length} operations failed after another number of tries than 3`);
  return found;
}

/** Two workers, each of which may meet it fresh, and once more among others that were marked together. */
const MOST_STARTS_AMONG_OTHERS = 5;
