// Scenario 29: two installations on one Redis, with the same prefix and, half of the time, the same database number, while somebody publishes false
// wake-ups on every channel. Neither hears, works for or counts the other (I12). Only jobs bring operations to their end: one that the other takes is late.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { createClient } from '../client.js';
import { type Run, repeatFault, runPhases } from '../phases.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { type Stack, startStack } from '../stack.js';

const EVERY_MS = 250;
const BY_JOBS_ALONE = { RECONCILE_AFTER_MS: '45000', RECONCILE_DIRECT_AFTER_MS: '45000' };

export const twoInstallations: Scenario = {
  number: 29,
  name: 'two-installations',
  title: 'two installations on one Redis with the same prefix',
  backends: ['redis'],
  options: { durationMs: 40_000, devices: 10, operations: 4_000, apis: 1, workers: 2, rounds: 0 },
  async run(context) {
    const one = await startStack(context, { ...context.options, env: BY_JOBS_ALONE });
    const redisUrl = new URL(one.redis?.url ?? '');
    redisUrl.pathname = context.random() < 0.5 ? '/0' : '/1';
    context.measures.notes['database number of the other'] = redisUrl.pathname.slice(1);
    const beside = besides(context);
    const workers = context.options.workers + 1;
    const other = await startStack(beside, {
      ...beside.options,
      workers,
      env: BY_JOBS_ALONE,
      missingRedisUrl: redisUrl.href,
    });
    const redis = new Redis(one.redis?.url ?? '');
    try {
      await Promise.all([run(context, one, redis), run(beside, other, redis)]);
    } finally {
      redis.disconnect();
    }
    await other.stopServers();
    await one.stopServers();
  },
};

/** A folder and a seed of its own, and twice the load. */
function besides(context: ScenarioContext): ScenarioContext {
  const folder = join(context.folder, 'other');
  mkdirSync(folder);
  const measures = { ...context.measures, faults: {}, notes: {}, acceptMs: [] };
  const { operations } = context.options;
  return {
    ...context,
    folder,
    measures,
    seed: context.seed + 1,
    options: { ...context.options, operations: 2 * operations },
  };
}

function run(context: ScenarioContext, stack: Stack, redis: Redis): Promise<void> {
  return runPhases(context, {
    stack,
    faults: (running) => repeatFault(context, running, EVERY_MS, () => lie(context, redis)),
    check: (running) => checkWorkers(running),
  });
}

/** Says on every channel of wake-ups that far more has happened than has. */
async function lie(context: ScenarioContext, redis: Redis) {
  const channels = await redis.pubsub('CHANNELS', '*wake-up*');
  const wakeUp = {
    workspaceId: 'default',
    seq: 1_000_000_000,
    settledUpTo: 1_000_000_000,
    batchIds: [],
    incarnation: '',
  };
  for (const channel of channels) await redis.publish(String(channel), JSON.stringify(wakeUp));
  context.countFault('false wake-ups');
}

async function checkWorkers({ stack }: Run): Promise<string[]> {
  const client = createClient(5_000);
  try {
    const { body } = await client.send('GET', `${stack.apis()[0]?.url}/health`);
    const wanted = stack.workers().length;
    return body.workers === wanted ? [] : [`/health counts ${body.workers} workers of ${wanted}`];
  } finally {
    client.close();
  }
}
