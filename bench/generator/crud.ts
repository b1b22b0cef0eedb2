// Single tasks: what one device does to one task at a time through the routes of /api/tasks.
import type { HttpRequest } from './devices.js';
import type { CrudAction } from './jobs.js';

/** @returns what makes the next request; made tasks have ids of their own, the others are taken in turns from `taskIds` */
export function createCrudRequests(
  action: CrudAction,
  deviceId: string,
  taskIds: readonly string[],
): () => HttpRequest {
  let count = 0;
  const nextTask = () => `/api/tasks/${taskIds[count % taskIds.length]}`;
  return () => {
    count += 1;
    switch (action) {
      case 'create':
        return {
          method: 'POST',
          path: '/api/tasks',
          body: JSON.stringify({ id: `${deviceId}-${count}`, title: `Number ${count}` }),
        };
      case 'read':
        return { method: 'GET', path: nextTask() };
      case 'list':
        return { method: 'GET', path: '/api/tasks?limit=100' };
      case 'patch':
        return {
          method: 'PATCH',
          path: nextTask(),
          body: JSON.stringify({ title: `Number ${count}`, completed: count % 2 === 0 }),
        };
      default:
        throw new Error(`no such action: ${action satisfies never}`);
    }
  };
}
