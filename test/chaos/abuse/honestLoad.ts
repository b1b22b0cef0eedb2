// Honest requests at an even pace, to see what others do to them: a push with its answer, a page of tasks, a look at the status.
import { setTimeout as sleep } from 'node:timers/promises';
import { createItem } from '../../support/operations.js';
import { createClient } from '../client.js';

export interface HonestLoad {
  tookMs: number[];
  /** What was not answered with 200, in words. */
  faults: string[];
}

/** Sends `perSecond` requests for `durationMs`, whatever becomes of those before. */
export async function runHonestLoad(url: string, perSecond: number, durationMs: number): Promise<HonestLoad> {
  const client = createClient(20_000);
  const load: HonestLoad = { tookMs: [], faults: [] };
  const under: Promise<void>[] = [];
  const one = async (index: number) => {
    try {
      const answer = await (index % 3 === 0
        ? client.send('POST', `${url}/api/sync/batch`, { items: [createItem(`honest-${Date.now()}-${index}`)] })
        : client.send('GET', `${url}${index % 3 === 1 ? '/api/tasks?limit=20' : '/api/sync/status'}`));
      load.tookMs.push(answer.tookMs);
      if (answer.status !== 200) load.faults.push(`an honest request was answered ${answer.status}`);
    } catch (error) {
      load.faults.push(`an honest request got no answer: ${error}`);
    }
  };
  const startedAt = performance.now();
  for (let index = 0; index < (perSecond * durationMs) / 1_000; index += 1) {
    await sleep(Math.max(0, startedAt + (index * 1_000) / perSecond - performance.now()));
    under.push(one(index));
  }
  await Promise.all(under);
  client.close();
  return load;
}

/** The value below which this share of all lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
