// What a scrape has to ask for: the backlog in PostgreSQL and the depths of the queue. However often a process is scraped, they are asked
// for at most once a second, and what does not answer in time is left out: a scrape never waits for a part that is down (I8).
import { describeError, type Logger } from '../logger.js';
import { type Producer, type QueueDepths, withTimeLimit } from '../queue/producer.js';
import { shareUnfinished } from '../shareUnfinished.js';
import type { Database } from '../storage/database.js';
import { type Backlog, readBacklog } from '../storage/readBacklog.js';
import { type PoolFigures, readPool } from '../storage/readPool.js';

export interface Figures {
  /** Undefined: the database did not answer. */
  backlog: Backlog | undefined;
  /** Undefined: the queue did not answer. */
  depths: QueueDepths | undefined;
  /** Redis refuses writes because its memory is full. */
  isQueueFull: boolean;
  pool: PoolFigures;
}

const KEPT_MS = 1_000;
/** Prometheus gives a scrape ten seconds unless told otherwise. */
const ANSWER_LIMIT_MS = 1_000;
/** Nobody needs to know more exactly how many more than this wait. */
const COUNT_BOUND = 1_000_000;

/** @returns reads the figures, or repeats those of the last second */
export function createFigures(deps: {
  database: Database;
  producer: Producer;
  logger: Logger;
}): () => Promise<Figures> {
  const askBacklog = shareUnfinished(() => readBacklog(deps.database, COUNT_BOUND));
  const askDepths = shareUnfinished(() => deps.producer.depths());
  const askFull = shareUnfinished(() => deps.producer.isFull());
  const orUndefined = <Value>(question: Promise<Value>) =>
    withTimeLimit(question, ANSWER_LIMIT_MS).catch((error: unknown) => {
      deps.logger.debug('metrics: a part does not answer', describeError(error));
      return undefined;
    });

  async function read(): Promise<Figures> {
    const [backlog, depths, isQueueFull = false] = await Promise.all([
      orUndefined(askBacklog()),
      orUndefined(askDepths()),
      orUndefined(askFull()),
    ]);
    return { backlog, depths, isQueueFull, pool: readPool(deps.database) };
  }

  let kept: { figures: Promise<Figures>; until: number } | undefined;
  return () => {
    if (kept === undefined || performance.now() >= kept.until) {
      kept = { figures: read(), until: performance.now() + KEPT_MS };
    }
    return kept.figures;
  };
}
