// Operations that end their worker. Such an end rolls back what a transaction knew of it, so the start of an attempt on old operations is committed
// before it, on a connection of its own, and taken back when the writes have left the process: what they wait for is not the operation's doing.
// Whoever finds a start without an end tries those operations one by one (I5). The reasons and the limits: docs/decisions/0013 and 0023.
import { describeError, type Logger } from '../src/logger.js';
import { deleteStartMark, readStartMark, type StartMark, writeStartMark } from '../src/storage/applyStarts.js';
import type { Database } from '../src/storage/database.js';

/** How often one operation may be started alone without an end. */
export const STARTS_MAX = 3;

/** An operation that ended its worker each time it was started alone. */
export class EndsWorker extends Error {
  override name = 'EndsWorker';
  constructor() {
    super(`the worker process ended each time it applied this operation (${STARTS_MAX} starts)`);
  }
}

/** An attempt that is marked as started. */
export interface MarkedStart {
  /** Only the first of the operations may be tried now. */
  isAlone: boolean;
  /**
   * This process has outlived its part, whether it failed or the database has the writes now: what ends it from here on is not the operation.
   * To be called while the workspace is locked.
   */
  outlived(): Promise<void>;
  /** It is committed. */
  applied(): Promise<void>;
}

export interface StartGuard {
  /**
   * Marks the start of an attempt; the caller holds the workspace's lock.
   * @param operationIds what it wants to apply, in order, at least one
   * @throws EndsWorker if the first one has been started often enough
   */
  begin(workspaceId: string, operationIds: number[]): Promise<MarkedStart>;
  /** The operation that begin() refused is written down as failed; tried again later it has fresh starts. */
  settled(workspaceId: string): Promise<void>;
}

/** @param marks a pool of its own: with one for both, attempts that hold all connections would wait for each other's marks */
export function createStartGuard(marks: Database, logger: Logger): StartGuard {
  /** A mark that stays though its attempt has ended makes the next one slower, not wrong. */
  const tolerate = async (work: Promise<void>) => {
    await work.catch((error: unknown) => logger.debug('a start could not be unmarked', describeError(error)));
  };

  async function beginTogether(workspaceId: string, ids: number[]): Promise<MarkedStart> {
    const [firstId] = ids;
    const isSingle = ids.length === 1;
    const mark = {
      lastId: ids.at(-1) ?? 0,
      aloneId: isSingle ? (firstId ?? null) : null,
      aloneStarts: isSingle ? 1 : 0,
    };
    await writeStartMark(marks, workspaceId, mark);
    return {
      isAlone: false,
      outlived: () => tolerate(deleteStartMark(marks, workspaceId)),
      applied: async () => undefined,
    };
  }

  async function beginAlone(workspaceId: string, firstId: number, found: StartMark): Promise<MarkedStart> {
    const starts = found.aloneId === firstId ? found.aloneStarts : 0;
    if (starts >= STARTS_MAX) throw new EndsWorker();
    const mark = { lastId: found.lastId, aloneId: firstId };
    await writeStartMark(marks, workspaceId, { ...mark, aloneStarts: starts + 1 });
    const where = { workspaceId, operationId: firstId, lastId: found.lastId, starts: starts + 1 };
    // Once for the attempt, and again for an operation that is suspected.
    const isNews = found.aloneId === null || starts > 0;
    logger.log(isNews ? 'warn' : 'debug', 'an attempt did not end; its operations are tried one by one', where);
    return {
      isAlone: true,
      outlived: () => tolerate(writeStartMark(marks, workspaceId, { ...mark, aloneStarts: starts })),
      // The mark stays for those behind it, which were started together with it.
      applied: async () => {
        if (firstId === found.lastId) await tolerate(deleteStartMark(marks, workspaceId));
      },
    };
  }

  return {
    async begin(workspaceId, operationIds) {
      const [firstId = 0] = operationIds;
      const found = await readStartMark(marks, workspaceId);
      // A mark that ends before is of an attempt that was committed, and whose worker ended just then.
      return found === undefined || firstId > found.lastId
        ? beginTogether(workspaceId, operationIds)
        : beginAlone(workspaceId, firstId, found);
    },
    // It explains why the attempt did not end: those behind it go on together.
    settled: (workspaceId) => deleteStartMark(marks, workspaceId),
  };
}
