// Asking one question at a time, for parts that may hang: asked once, not once a caller.

/** @returns asks, or gives the answer that is still awaited */
export function shareUnfinished<Value>(ask: () => Promise<Value>): () => Promise<Value> {
  let open: Promise<Value> | undefined;
  return () => {
    open ??= ask().finally(() => {
      open = undefined;
    });
    return open;
  };
}
