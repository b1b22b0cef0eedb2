// The live tasks as a device that starts from nothing gets them, in the order of seq.
import { createClient } from '../client.js';

export async function readFeed(url: string): Promise<{ id: string; title: string; seq: number }[]> {
  const client = createClient(10_000);
  const tasks = new Map<string, { id: string; title: string; seq: number }>();
  try {
    for (let path = '/api/sync/changes?limit=5000', hasMore = true; hasMore; ) {
      const { status, body } = await client.send('GET', `${url}${path}`);
      if (status !== 200) throw new Error(`the feed answered ${status}`);
      for (const { id, title, seq, deleted } of body.changes) {
        if (deleted) tasks.delete(id);
        else tasks.set(id, { id, title, seq });
      }
      hasMore = body.has_more;
      path = `/api/sync/changes?limit=5000&cursor=${encodeURIComponent(body.cursor)}`;
    }
  } finally {
    client.close();
  }
  return [...tasks.values()].sort((a, b) => a.seq - b.seq);
}
