// Loaded into a worker by `node --import`, for scenario 17: the process ends, as by the kernel's out-of-memory killer, whenever it is about to
// write a task with a chosen title. What the worker does before and after is the product's own code.
import pg from 'pg';
import { CRASHING_TITLE } from '../crashingTitle.js';

const holdsTitle = (value: unknown): boolean =>
  typeof value === 'string'
    ? value.includes(CRASHING_TITLE)
    : Array.isArray(value)
      ? value.some(holdsTitle)
      : typeof value === 'object' && value !== null && 'values' in value && holdsTitle(value.values);

const { query } = pg.Client.prototype;
pg.Client.prototype.query = new Proxy(query, {
  apply(target, self, given) {
    if (given.some(holdsTitle)) process.kill(process.pid, 'SIGKILL');
    return Reflect.apply(target, self, given);
  },
});
