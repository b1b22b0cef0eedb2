// Keeps one child running: when it dies it is started again, after a wait that doubles from death to death and is short again once it has
// lived for a while. A child that never came to life is given up: something is wrong that a restart does not heal.
import type { Child } from './child.js';
import { StartError } from './startError.js';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;
const HEALTHY_AFTER_MS = 60_000;
/** A child that lived this long was up; deaths before that are those of a child that cannot start. */
const CAME_UP_AFTER_MS = 10_000;
const DEATHS_BEFORE_UP = 5;

export interface SupervisedChild {
  /** Says that it has been seen to work: from now on it is restarted however often it dies. */
  markUp(): void;
  /** Stops it for good: its signal first, SIGKILL after `limitMs`. Says so. */
  stop(limitMs: number): Promise<void>;
}

/**
 * Supervises a running child.
 * @param options.start starts it again.
 * @param options.giveUp hears, once, that it will not be started any more.
 */
export function superviseChild(options: {
  child: Child;
  start(): Child;
  logFile: string;
  say(line: string): void;
  giveUp(error: Error): void;
  isUp?: boolean;
}): SupervisedChild {
  const { logFile, say, giveUp } = options;
  let child = options.child;
  let startedAt = Date.now();
  let isUp = options.isUp ?? false;
  let deaths = 0;
  let stopping = false;
  let timer: NodeJS.Timeout | undefined;

  function handleExit(how: string): void {
    if (stopping) return;
    const livedMs = Date.now() - startedAt;
    isUp ||= livedMs >= CAME_UP_AFTER_MS;
    deaths = livedMs >= HEALTHY_AFTER_MS ? 1 : deaths + 1;
    if (!isUp && deaths >= DEATHS_BEFORE_UP) {
      giveUp(new StartError(`${child.name} ended ${deaths} times without coming up (${how}). Its log is ${logFile}`));
      return;
    }
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** (deaths - 1), LONGEST_WAIT_MS);
    say(
      `${child.name} has ended unexpectedly (${how}) and is started again in ${waitMs / 1_000} s. Its log is ${logFile}`,
    );
    timer = setTimeout(restart, waitMs);
  }

  function restart(): void {
    try {
      child = options.start();
    } catch (error) {
      giveUp(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    startedAt = Date.now();
    watch();
  }

  function watch(): void {
    void child.exited.then(handleExit);
  }

  watch();
  return {
    markUp: () => {
      isUp = true;
    },
    stop: async (limitMs) => {
      stopping = true;
      clearTimeout(timer);
      const how = await child.stop(limitMs);
      say(how === 'stopped' ? `${child.name} has stopped.` : `${child.name} did not stop in time and was killed.`);
    },
  };
}
