// Whether a tail has a reason to look at the database. A seq that was heard is such a reason and no more: what counts is what the look finds. One
// that turns out too high is forgotten with it, and the next ones are believed after a rest, so that no wake-up can keep a process busy, nor
// silence what comes later (I12).

export interface News {
  /** Whether it is worth a look now. */
  isThere(): boolean;
  /** A wake-up said that this seq is reached; everything up to `complete` is known. */
  hear(seq: number, complete: number): void;
  /** Somebody has looked, and found something else than is known. */
  find(): void;
  /** Looks. @param read says what the database has reached, and up to where it was read */
  look<Found extends Look>(complete: number, read: () => Promise<Found>): Promise<Found>;
  close(): void;
}

interface Look {
  /** The seq of the workspace. */
  reached: number;
  /** Up to where it was read: less, where more is there than a read takes. */
  seenUpTo: number;
}

const REST_MIN_MS = 100;
const REST_MAX_MS = 2_000;

/** @param onNews called when there is something to look for */
export function createNews(onNews: () => void): News {
  // What was written between the opening of a feed and its following nobody will tell.
  let isThere = true;
  let heard = 0;
  let restMs = 0;
  let rest: NodeJS.Timeout | undefined;

  function find() {
    isThere = true;
    onNews();
  }

  function beginRest() {
    restMs = Math.min(REST_MAX_MS, Math.max(REST_MIN_MS, restMs * 2));
    clearTimeout(rest);
    rest = setTimeout(() => {
      rest = undefined;
      if (heard > 0) find();
    }, restMs);
    rest.unref();
  }

  return {
    isThere: () => isThere,
    find,
    hear(seq, complete) {
      if (seq <= complete) return;
      heard = Math.max(heard, seq);
      if (rest === undefined) find();
    },
    async look(complete, read) {
      const claimed = heard;
      isThere = false;
      heard = 0;
      try {
        const found = await read();
        if (found.seenUpTo < found.reached) isThere = true;
        if (claimed > found.reached) beginRest();
        else if (found.seenUpTo > complete) restMs = 0;
        return found;
      } catch (error) {
        isThere = true;
        throw error;
      }
    },
    close: () => clearTimeout(rest),
  };
}
