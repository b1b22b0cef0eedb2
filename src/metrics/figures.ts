// What a scrape has to ask for: the backlog in PostgreSQL and the depths of the queue. However often a process is scraped, they are asked
// for at most once a second, and what does not answer in time is left out: a scrape never waits for a part that is down (I8).
import { describeError, type Logger } from '../logger.js';
import { type Producer, type QueueDepths, type QueueLook, withTimeLimit } from '../queue/producer.js';
import { shareUnfinished } from '../shareUnfinished.js';
import type { Database } from '../storage/database.js';
import { type Backlog, readBacklog } from '../storage/readBacklog.js';
import { type PoolFigures, readPool } from '../storage/readPool.js';

export interface Figures {
  isDatabaseUp: boolean;
  /** Undefined: not known. */
  backlog: Backlog | undefined;
  /** Undefined: the queue did not answer. */
  depths: QueueDepths | undefined;
  queueState: QueueLook['state'];
  /** How far this machine's clock is ahead of the database's. */
  clockSkewMs: number;
  pool: PoolFigures;
}

const KEPT_MS = 1_000;
/** Prometheus gives a scrape ten seconds unless told otherwise. */
const ANSWER_LIMIT_MS = 1_000;
/** Counting many that were accepted just now takes seconds; until it has ended the last count is shown, if it is no older than this. */
const BACKLOG_KEPT_MS = 60_000;
/** Nobody needs to know more exactly how many more than this wait. */
const COUNT_BOUND = 1_000_000;

/** @returns reads the figures, or repeats those of the last second */
export function createFigures(deps: {
  database: Database;
  producer: Producer;
  logger: Logger;
  skewMs: () => number;
}): () => Promise<Figures> {
  let last: { backlog: Backlog; atMs: number } | undefined;
  const askBacklog = shareUnfinished(async () => {
    const backlog = await readBacklog(deps.database, COUNT_BOUND);
    last = { backlog, atMs: performance.now() };
    return backlog;
  });
  const lastBacklog = () =>
    last !== undefined && performance.now() - last.atMs < BACKLOG_KEPT_MS ? last.backlog : undefined;
  const askDatabase = shareUnfinished(async () => (await deps.database.select('SELECT 1', [])).length === 1);
  const askDepths = shareUnfinished(() => deps.producer.depths());
  const askState = shareUnfinished(() => deps.producer.look());
  const orUndefined = <Value>(question: Promise<Value>) =>
    withTimeLimit(question, ANSWER_LIMIT_MS).catch((error: unknown) => {
      deps.logger.debug('metrics: a part does not answer', describeError(error));
      return undefined;
    });

  async function read(): Promise<Figures> {
    const [isDatabaseUp = false, counted, depths, look] = await Promise.all([
      orUndefined(askDatabase()),
      orUndefined(askBacklog()),
      orUndefined(askDepths()),
      orUndefined(askState()),
    ]);
    const backlog = counted ?? (isDatabaseUp ? lastBacklog() : undefined);
    return {
      isDatabaseUp,
      backlog,
      depths,
      queueState: look?.state ?? 'down',
      clockSkewMs: deps.skewMs(),
      pool: readPool(deps.database),
    };
  }

  let kept: { figures: Promise<Figures>; until: number } | undefined;
  return () => {
    if (kept === undefined || performance.now() >= kept.until) {
      kept = { figures: read(), until: performance.now() + KEPT_MS };
    }
    return kept.figures;
  };
}
