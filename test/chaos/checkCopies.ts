// Every copy of the tasks is the same: the table, a bootstrap from zero, each device's copy by the feed, the copy of the live stream, and
// the digest over them (I6).
import { digestOf } from '../support/digest.js';
import { createClient } from './client.js';
import { createFeedCopy, type FeedTask, liveTasks } from './feedCopy.js';
import type { Fleet } from './fleet.js';
import type { LiveStream } from './liveStream.js';
import type { State } from './readState.js';

const REQUEST_LIMIT_MS = 20_000;

/** @param apiUrl any api process. @returns what differs, in words */
export async function checkCopies(
  state: State,
  parts: { fleet: Fleet; stream: LiveStream | undefined; apiUrl: string },
): Promise<string[]> {
  const found: string[] = [];
  const wanted = liveTasks(
    state.tasks.map(({ id, title, description, completed, deleted, seq }) => ({
      id,
      title,
      description,
      completed,
      deleted,
      seq,
    })),
  );
  const compare = (name: string, copy: FeedTask[]) => {
    if (JSON.stringify(copy) === JSON.stringify(wanted)) return;
    const odd = wanted.find((task, index) => JSON.stringify(task) !== JSON.stringify(copy[index]));
    found.push(`${name} holds ${copy.length} live tasks, the table ${wanted.length}; first at ${JSON.stringify(odd)}`);
  };
  const client = createClient(REQUEST_LIMIT_MS);
  try {
    const fresh = createFeedCopy((what) => found.push(`bootstrap: ${what}`));
    while (fresh.take(await client.send('GET', `${parts.apiUrl}${fresh.path(1_000)}`)));
    compare('a bootstrap', fresh.live());
    for (const device of parts.fleet.devices) compare(`the copy of ${device.name}`, device.copy.live());
    if (parts.stream !== undefined) compare('the copy of the live stream', parts.stream.live());
    const digest = await client.send('GET', `${parts.apiUrl}/api/sync/digest`);
    if (JSON.stringify(digest.body.buckets) !== JSON.stringify(digestOf(wanted))) found.push('the digest differs');
  } finally {
    client.close();
  }
  return found;
}
