// Scenario 3: a power cut of everything but the disk, again and again: PostgreSQL with its children, Redis, api and worker at one instant.
import { pauseUntil } from '../fleet.js';
import { runPhases } from '../phases.js';
import type { Scenario } from '../scenario.js';
import { startStack } from '../stack.js';

/** How long everything works between two kills, on average. */
const WORKING_MS = 1_500;

export const killEverything: Scenario = {
  number: 3,
  name: 'kill-everything',
  title: 'kill -9 of everything at once, 20 rounds',
  backends: ['redis', 'postgres'],
  options: { durationMs: 100_000, devices: 10, operations: 6_000, apis: 1, workers: 1, rounds: 20 },
  short: { durationMs: 12_000, devices: 6, operations: 500, rounds: 2 },
  async run(context) {
    const { rounds } = context.options;
    const stack = await startStack(context, context.options);
    await runPhases(context, {
      stack,
      async faults(run) {
        for (let round = 0; round < rounds; round += 1) {
          // Long enough for devices to come back and for work to be under way.
          await pauseUntil(Date.now() + WORKING_MS * (0.5 + context.random()), context.signal);
          const { postgres, redis, places } = run.stack;
          await Promise.all([
            ...places.map((place) => place.kill()),
            postgres.end('SIGKILL'),
            ...(redis === undefined ? [] : [redis.end('SIGKILL')]),
          ]);
          context.countFault('SIGKILL of everything');
          // Everything boots at once, in no order.
          await Promise.all([
            postgres.start(),
            ...(redis === undefined ? [] : [redis.start()]),
            ...places.map((place) => place.start()),
          ]);
        }
      },
    });
    await stack.stopServers();
  },
};
