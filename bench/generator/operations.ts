// What devices do, the same for every protocol: a stream of operations on tasks that no other device of the fleet touches, so that an
// update wins because it is newer and loses because it is older, and never by a race. Deterministic but for the clock.
import type { Workload } from './jobs.js';

export interface Operation {
  kind: 'create' | 'update' | 'delete';
  taskId: string;
  opId: string;
  clientId: string;
  title: string;
  description: string;
  completed: boolean;
  /** Canonical, as the product writes times. */
  updatedAt: string;
  /** Older than what the server has: it has to lose. */
  isStale: boolean;
  /** Sent before. */
  isResend: boolean;
  /** The device will write to this task again: what its protocol wants to know of it has to be kept. */
  isRevisited: boolean;
}

export interface Stream {
  /** The tasks that its updates touch. */
  readonly taskIds: readonly string[];
  /** Creates for all of them, in batches. */
  preparation(batch: number): Generator<Operation[]>;
  next(count: number): Operation[];
}

/** Of twenty operations of a mixed day: 4 creates, 2 updates that come too late, 1 delete, 2 resends, 11 updates that win. */
const MIXED_DAY = 'cuuuscuudurcuusuruuc';
const LETTERS: Record<Exclude<Workload, 'mixed'>, string> = { create: 'c', update: 'u', stale: 's', resend: 'r' };
/** Steps through the tasks in an order that no cache foresees; prime, so that it meets each of them before any again. */
const STRIDE = 7_919;
/** In the id of a task that is made and left alone. */
const NEW = '-new-';
const DESCRIPTION = 'As agreed on the phone, with everything that belongs to it and the receipt';

/** @param taskIds none twice, and enough that no two batches in a row touch one twice */
export function createStream(clientId: string, workload: Workload, taskIds: readonly string[]): Stream {
  const letters = workload === 'mixed' ? MIXED_DAY : LETTERS[workload];
  const stride = taskIds.length % STRIDE === 0 ? 1 : STRIDE;
  let sent = 0;
  /** Operations given out, resends included: the place in the day. */
  let given = 0;
  let touched = 0;
  let previous: Operation[] = [];

  const make = (kind: Operation['kind'], taskId: string, updatedAt: string, isStale = false): Operation => {
    sent += 1;
    return {
      kind,
      taskId,
      opId: `${clientId}-op-${sent}`,
      clientId,
      title: `Number ${sent} of what has to be done`,
      description: DESCRIPTION,
      completed: sent % 3 === 0,
      updatedAt,
      isStale,
      isResend: false,
      isRevisited: !taskId.includes(NEW),
    };
  };
  const nextTask = () => {
    touched += 1;
    return taskIds[(touched * stride) % taskIds.length] ?? '';
  };
  const makeOne = (letter: string | undefined, index: number, time: string): Operation => {
    const micros = String(index % 1_000).padStart(3, '0');
    const repeated = previous[index];
    if (letter === 'r' && repeated !== undefined) return { ...repeated, isResend: true };
    if (letter === 'c') return make('create', `${clientId}${NEW}${sent + 1}`, `${time}${micros}Z`);
    if (letter === 's') return make('update', nextTask(), `2020-01-01T00:00:00.000${micros}Z`, true);
    return make(letter === 'd' ? 'delete' : 'update', nextTask(), `${time}${micros}Z`);
  };

  return {
    taskIds,
    *preparation(batch) {
      for (let from = 0; from < taskIds.length; from += batch) {
        const time = timePrefix();
        yield taskIds
          .slice(from, from + batch)
          .map((id, index) => make('create', id, `${time}${String(index % 1_000).padStart(3, '0')}Z`));
      }
    },
    next(count) {
      const time = timePrefix();
      const operations = Array.from({ length: count }, (_, index) =>
        makeOne(letters[(given + index) % letters.length], index, time),
      );
      given += count;
      // A workload of nothing but resends repeats its first batch.
      if (workload !== 'resend' || previous.length < count) previous = operations;
      return operations;
    },
  };
}

/** Up to the milliseconds, one ago: the microseconds that are added must not lie in the future. */
const timePrefix = () => new Date(Date.now() - 1).toISOString().slice(0, -1);
