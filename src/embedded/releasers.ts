// What was opened is closed last in first out, also when a start fails halfway: whoever opens something pushes its closer at once.

export interface Releasers {
  push(release: () => void | Promise<void>): void;
  /** Runs every closer once, however often it is called; one that throws does not keep the others from running. */
  releaseAll(): Promise<void>;
}

/** An empty stack of closers. `onFault` hears of a closer that threw. */
export function createReleasers(onFault: (error: unknown) => void): Releasers {
  const stack: (() => void | Promise<void>)[] = [];
  let releasing: Promise<void> | undefined;

  async function drain(): Promise<void> {
    for (let release = stack.pop(); release !== undefined; release = stack.pop()) {
      try {
        await release();
      } catch (error) {
        onFault(error);
      }
    }
  }

  return {
    push: (release) => {
      stack.push(release);
    },
    releaseAll: () => {
      releasing ??= drain();
      return releasing;
    },
  };
}
