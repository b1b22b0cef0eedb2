// The pull of a device that was away for a moment: a hundred changes, in a workspace of any size.
import { randomUUID } from 'node:crypto';
import type { Client } from 'undici';
import { createDevice } from './devices.js';
import { createStream, type Operation } from './operations.js';

/** Changes since the device's last pull. */
const DELTA = 100;

/** Makes the changes. @returns the path that reads them; no cursor has to be walked to, because the answer to a push carries one */
export async function deltaRequest(client: Client): Promise<string> {
  const { next } = createStream(`delta-${randomUUID()}`, 'create', []);
  const cursor = await push(client, next(1));
  await push(client, next(DELTA));
  return `/api/sync/changes?limit=1000&cursor=${cursor}`;
}

async function push(client: Client, operations: Operation[]): Promise<string> {
  const { method, path, body } = createDevice('taskSync').write(operations);
  const answer = await client.request({
    method,
    path,
    headers: { 'content-type': 'application/json' },
    body: body ?? '',
  });
  const text = await answer.body.text();
  const cursor = answer.headers['sync-cursor'];
  if (answer.statusCode !== 200 || typeof cursor !== 'string')
    throw new Error(`the changes were not taken: ${text.slice(0, 300)}`);
  return cursor;
}
