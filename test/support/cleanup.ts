// Nothing outlives the tests: whatever a test opens is registered here, closed by the test itself or, if it failed before, by the last hook.

type Close = () => Promise<void> | void;
const open = new Map<object, Close>();

/** Files with a test or hook that failed, as file URLs; what they used is kept for a look. */
export const failedFiles = new Set<string>();

/** Registers how to end something, until it is told that it has ended. */
export function registerCleanup(resource: object, close: Close): void {
  open.set(resource, close);
}

export function forgetCleanup(resource: object): void {
  open.delete(resource);
}

/** Ends everything that is still open, the youngest first. */
export async function cleanUpAll(): Promise<void> {
  for (const [resource, close] of [...open].reverse()) {
    open.delete(resource);
    try {
      await close();
    } catch (error) {
      process.stderr.write(`A test left something that could not be ended: ${error}\n`);
    }
  }
}
