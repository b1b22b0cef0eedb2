// A system whose queue answers. An api serves before it has reached its Redis: a batch of that moment waits for the reconciler, seconds
// later, which is right for the product and too late for a test of something else.
import { eventually, type System } from './system.js';

export async function withQueue(starting: Promise<System>): Promise<System> {
  const system = await starting;
  await eventually(async () => (await system.request('GET', '/health')).body.queue === 'up');
  return system;
}
