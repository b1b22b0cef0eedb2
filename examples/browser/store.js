// What the device keeps, in IndexedDB: the records of the server, the outbox, what was refused, and `meta` for single values.

export const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/**
 * @returns a function that runs `work` on the stores in one transaction, and resolves with its result when that is on the disk. `work` may
 *   await nothing but requests of this transaction, which ends when it has none.
 */
export async function openStore(name) {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore('server', { keyPath: 'id' });
    opening.result.createObjectStore('outbox', { keyPath: 'n', autoIncrement: true });
    opening.result.createObjectStore('problems', { autoIncrement: true });
    opening.result.createObjectStore('meta');
  };
  const database = await done(opening);
  const names = [...database.objectStoreNames];
  return async (work) => {
    const transaction = database.transaction(names, 'readwrite', { durability: 'strict' });
    const ended = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    try {
      const result = await work(Object.fromEntries(names.map((each) => [each, transaction.objectStore(each)])));
      await ended;
      return result;
    } catch (error) {
      transaction.abort();
      throw error;
    }
  };
}
